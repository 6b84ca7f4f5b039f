/**
 * The needle test: hides a sentence in a long text, asks for it, and scores how often the model finds it, by length of the text, depth of
 * the sentence and context policy (Kamradt 2023; several sentences at once is the key-value retrieval of Liu et al. 2023). Begin reading
 * at {@link dev.lanes.needle.NeedleTest}.
 */
package dev.lanes.needle;
