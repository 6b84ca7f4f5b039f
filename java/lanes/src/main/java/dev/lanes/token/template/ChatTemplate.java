package dev.lanes.token.template;

import java.nio.file.Path;
import java.time.Clock;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * A chat template: Jinja2 source, usually from {@code tokenizer_config.json}, that turns a conversation into the text a model expects.
 *
 * <p>Renders byte for byte as {@code apply_chat_template} of Hugging Face transformers does, which runs Jinja 3.1 in an
 * {@code ImmutableSandboxedEnvironment} with {@code trim_blocks}, {@code lstrip_blocks}, {@code break} and {@code continue}, a
 * {@code tojson} that escapes nothing for HTML, {@code raise_exception}, {@code strftime_now} and the {@code generation} tag. What
 * this engine does not know it refuses: a template that compiles either renders right or fails with a typed error.
 *
 * <p>A template is untrusted input. It sees nothing but the values it is given, cannot run longer or use more memory than an
 * allowance that grows with the size of those values, and cannot recurse without bound.
 *
 * <p>Instances are immutable and may be used by several threads at once.
 */
public final class ChatTemplate {
  private final Origin origin;
  private final Compiler.Program program;
  private final Clock clock;

  private ChatTemplate(Origin origin, Compiler.Program program, Clock clock) {
    this.origin = origin;
    this.program = program;
    this.clock = clock;
  }

  /**
   * Compiles a template.
   *
   * @param source Jinja2 text
   * @param file where the text is from; errors name it
   * @throws dev.lanes.error.InvalidModelException if the text is no valid template
   * @throws dev.lanes.error.UnsupportedModelException if it uses a construct that this engine does not implement; names it and its line
   */
  public static ChatTemplate compile(String source, Path file) {
    Objects.requireNonNull(source, "source");
    Origin origin = new Origin(Objects.requireNonNull(file, "file"));
    if (source.length() > Limits.SOURCE) {
      throw origin.unsupported(1, "a template of " + source.length() + " characters, more than " + Limits.SOURCE + ",");
    }
    try {
      return new ChatTemplate(origin, Compiler.compile(Parser.parse(source, origin), origin), Clock.systemDefaultZone());
    } catch (StackOverflowError e) {
      throw origin.unsupported(1, "a template nested so deeply that it overflows the stack of this thread");
    }
  }

  /** The same template with another clock for {@code strftime_now}; the default is the system's clock and time zone. */
  public ChatTemplate withClock(Clock other) {
    return new ChatTemplate(origin, program, Objects.requireNonNull(other, "clock"));
  }

  /**
   * Renders a conversation.
   *
   * <p>Messages and variables are made of Map (with String keys), Collection, String, Number, Boolean and null. As in transformers,
   * {@code tools} and {@code documents} are none and {@code add_generation_prompt} is false unless given. Special tokens such as
   * {@code bos_token} are variables too; leave out those that the tokenizer does not have.
   *
   * @param messages the conversation, usually maps with {@code role} and {@code content}
   * @param variables further variables of the template; {@code messages} among them is overruled by the first parameter
   * @throws TemplateException if the template refuses the conversation, misuses a value or exceeds its allowance
   * @throws IllegalArgumentException if a value is of another type, or nested too deeply
   */
  public String render(List<? extends Map<String, ?>> messages, Map<String, ?> variables) {
    Objects.requireNonNull(messages, "messages");
    Objects.requireNonNull(variables, "variables");
    InputValues input = new InputValues();
    Map<String, Object> values = new HashMap<>();
    values.put("tools", null);
    values.put("documents", null);
    values.put("add_generation_prompt", false);
    variables.forEach((name, value) -> values.put(name, input.convert(name, value)));
    values.put("messages", input.convert("messages", messages));
    Render render = new Render(values, clock, input.size());
    try {
      Output out = new Output(render);
      render.charge(program.cost());
      program.body().run(new Frame(program.function(), null, render), out);
      return out.toString();
    } catch (Failure e) {
      throw new TemplateException(origin.file(), render.line, e.getMessage(), e.raisedByTemplate());
    } catch (StackOverflowError e) {
      throw new TemplateException(origin.file(), render.line, "calls or values are nested too deeply for the stack of this thread", false);
    }
  }
}
