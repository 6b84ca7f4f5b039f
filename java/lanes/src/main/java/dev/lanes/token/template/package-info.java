/**
 * Chat templates: the Jinja2 language as Hugging Face runs it, in an immutable sandbox with trimmed blocks.
 *
 * <p>A template passes through {@code Lexer}, {@code Parser} and {@code Symbols} (which variable a name means) into a tree of small
 * evaluators; {@code ChatTemplate} runs that tree. Values behave as in Python, whose types they mirror:
 *
 * <table>
 * <caption>Python values and the Java objects that stand for them</caption>
 * <tr><td>None</td><td>null</td></tr>
 * <tr><td>bool, float, str</td><td>Boolean, Double, String (or {@code Markup})</td></tr>
 * <tr><td>int</td><td>Long, or BigInteger when it does not fit</td></tr>
 * <tr><td>list, tuple, dict</td><td>List, {@code Tuple}, {@code Dict}; none of them is ever changed once a template can see it</td></tr>
 * <tr><td>the rest</td><td>classes of this package; an object of any other class never reaches a template</td></tr>
 * </table>
 */
package dev.lanes.token.template;
