/**
 * Lanes runs Transformer language models inside the JVM.
 *
 * <pre>{@code
 * try (LanguageModel model = Lanes.load(Path.of("model-directory"))) {
 *   System.out.println(model.generate("Once upon a time").text());
 * }
 * }</pre>
 */
package dev.lanes;
