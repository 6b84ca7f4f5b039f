package dev.lanes.token;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import dev.lanes.format.TokenizerConfig;
import dev.lanes.format.TokenizerFile;
import java.nio.file.Path;
import java.util.Arrays;

/** The native library's own decoding, the reference for ours. */
final class NativeDecoding implements AutoCloseable {
  private final long handle;

  NativeDecoding(Path directory) {
    // Loading a tokenizer loads the library.
    HuggingFaceTokenizer.load(directory).orElseThrow().close();
    handle = TokenizersLibrary.LIB.createTokenizerFromString(
        TokenizerFile.load(directory, TokenizerConfig.load(directory)).orElseThrow().json());
  }

  String decode(int[] ids, boolean skipSpecialTokens) {
    return TokenizersLibrary.LIB.decode(handle, Arrays.stream(ids).asLongStream().toArray(), skipSpecialTokens);
  }

  @Override
  public void close() {
    TokenizersLibrary.LIB.deleteTokenizer(handle);
  }
}
