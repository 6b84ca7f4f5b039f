package dev.lanes.token;

import ai.djl.huggingface.tokenizers.jni.LibUtils;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import dev.lanes.error.InvalidModelException;
import dev.lanes.error.NativeException;
import dev.lanes.format.TokenizerConfig;
import dev.lanes.format.TokenizerFile;
import java.lang.ref.Cleaner;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * A tokenizer.json run by the Rust tokenizers library, which encodes; decoding is done in Java, so that it can go token by token. The
 * library ends the process on some inputs: {@link TokenizerFile} and {@link MatchGuard} refuse those before it sees them.
 */
public final class HuggingFaceTokenizer implements Tokenizer {
  /** The longest text that is encoded at once, in UTF-16 units; more tokens than any context has. */
  public static final int MAX_TEXT_LENGTH = 8 << 20;

  private static final Cleaner CLEANER = Cleaner.create();

  /** Classes that build their own template of BOS and EOS and ignore the post-processor of tokenizer.json. */
  private static final Set<String> SENTENCEPIECE_CLASSES = Set.of(
      "LlamaTokenizer", "LlamaTokenizerFast", "CodeLlamaTokenizer", "CodeLlamaTokenizerFast", "GemmaTokenizer", "GemmaTokenizerFast");

  private final TokenizerFile file;
  private final MatchGuard guard;
  private final Handle handle;
  private final Cleaner.Cleanable cleanable;
  private final ReadWriteLock lock = new ReentrantReadWriteLock();

  /** Whether BOS and EOS come from here instead of the post-processor; then their ids, or -1 for none. */
  private final boolean ownTemplate;
  private final int bos;
  private final int eos;

  /** The native tokenizer; freed once. */
  private static final class Handle implements Runnable {
    private long address;

    @Override
    public synchronized void run() {
      if (address != 0) {
        TokenizersLibrary.LIB.deleteTokenizer(address);
        address = 0;
      }
    }
  }

  /** The native library, loaded on first use. */
  private static final class Library {
    static final TokenizersLibrary INSTANCE = load();

    private static TokenizersLibrary load() {
      // Without these a CUDA host downloads another build of the library, and a cloud host phones home.
      setDefault("RUST_FLAVOR", "cpu");
      setDefault("ai.djl.offline", "true");
      setDefault("OPT_OUT_TRACKING", "true");
      LibUtils.checkStatus();
      return TokenizersLibrary.LIB;
    }

    private static void setDefault(String name, String value) {
      if (System.getProperty(name) == null) {
        System.setProperty(name, value);
      }
    }
  }

  private HuggingFaceTokenizer(TokenizerFile file, TokenizerConfig config, Path configFile) {
    this.file = file;
    this.guard = new MatchGuard(file.matches());
    this.ownTemplate = config.tokenizerClass().filter(SENTENCEPIECE_CLASSES::contains).isPresent();
    this.bos = ownTemplate && config.addBosToken().orElse(true) ? roleId(config, configFile, "bos_token", "<s>") : -1;
    this.eos = ownTemplate && config.addEosToken().orElse(false) ? roleId(config, configFile, "eos_token", "</s>") : -1;
    this.handle = new Handle();
    this.cleanable = CLEANER.register(this, handle);
    try {
      handle.address = Library.INSTANCE.createTokenizerFromString(file.json());
      Library.INSTANCE.disableTruncation(handle.address);
      Library.INSTANCE.disablePadding(handle.address);
    } catch (LinkageError | IllegalStateException e) {
      // A failed initializer has no message of its own.
      throw new NativeException("the library of the tokenizer cannot be loaded: "
          + (e.getMessage() == null && e.getCause() != null ? e.getCause() : e), e);
    } catch (RuntimeException e) {
      throw new InvalidModelException(file.file(), "", "is no valid tokenizer: " + e.getMessage(), e);
    }
  }

  /**
   * Reads tokenizer.json and its configuration in a model directory; empty when there is no tokenizer.json.
   *
   * @throws InvalidModelException if a file is damaged
   * @throws dev.lanes.error.UnsupportedModelException if the tokenizer has a component that Lanes lacks
   * @throws NativeException if the native library cannot be loaded
   */
  public static Optional<HuggingFaceTokenizer> load(Path directory) {
    TokenizerConfig config = TokenizerConfig.load(directory);
    return TokenizerFile.load(directory, config)
        .map(file -> new HuggingFaceTokenizer(file, config, directory.resolve("tokenizer_config.json")));
  }

  private int roleId(TokenizerConfig config, Path configFile, String role, String fallback) {
    String text = config.specialToken(role).orElse(fallback);
    Integer id = file.ids().get(text);
    if (id == null) {
      throw new InvalidModelException(configFile, role, "is \"" + text + "\", which is not in the vocabulary of " + file.file());
    }
    return id;
  }

  @Override
  public int[] encode(String text, boolean addSpecialTokens) {
    Objects.requireNonNull(text, "text");
    if (text.length() > MAX_TEXT_LENGTH) {
      throw new IllegalArgumentException("the text has " + text.length() + " characters, expected at most " + MAX_TEXT_LENGTH);
    }
    String clean = withoutLoneSurrogates(text);
    guard.check(clean);
    long[] ids = encodeNative(clean, addSpecialTokens && !ownTemplate);
    int before = addSpecialTokens && bos >= 0 ? 1 : 0;
    int after = addSpecialTokens && eos >= 0 ? 1 : 0;
    int[] result = new int[before + ids.length + after];
    for (int i = 0; i < ids.length; i++) {
      result[before + i] = (int) ids[i];
    }
    if (before > 0) {
      result[0] = bos;
    }
    if (after > 0) {
      result[result.length - 1] = eos;
    }
    return result;
  }

  private long[] encodeNative(String text, boolean addSpecialTokens) {
    lock.readLock().lock();
    try {
      checkOpen();
      long encoding = Library.INSTANCE.encode(handle.address, text, addSpecialTokens);
      try {
        return Library.INSTANCE.getTokenIds(encoding);
      } finally {
        Library.INSTANCE.deleteEncoding(encoding);
      }
    } catch (IllegalStateException e) {
      throw e;
    } catch (RuntimeException e) {
      throw new InvalidModelException(file.file(), "model", "cannot encode the text: " + e.getMessage(), e);
    } finally {
      lock.readLock().unlock();
    }
  }

  @Override
  public String decode(int[] ids, boolean skipSpecialTokens) {
    StageDecoder decoder = (StageDecoder) incrementalDecoder(skipSpecialTokens);
    for (int id : ids) {
      decoder.add(id);
    }
    return decoder.flush();
  }

  @Override
  public IncrementalDecoder incrementalDecoder(boolean skipSpecialTokens) {
    lock.readLock().lock();
    try {
      checkOpen();
      return new StageDecoder(file, skipSpecialTokens);
    } finally {
      lock.readLock().unlock();
    }
  }

  @Override
  public int vocabularySize() {
    return open().tokens().size();
  }

  @Override
  public OptionalInt tokenId(String token) {
    Map<String, Integer> ids = open().ids();
    Integer id = ids.get(Objects.requireNonNull(token, "token"));
    return id == null ? OptionalInt.empty() : OptionalInt.of(id);
  }

  @Override
  public Optional<String> tokenText(int id) {
    TokenizerFile open = open();
    return id >= 0 && id < open.tokens().size() ? Optional.of(open.tokens().get(id)) : Optional.empty();
  }

  @Override
  public boolean isSpecial(int id) {
    return open().special().contains(id);
  }

  /** Frees the native tokenizer, after running calls have ended. */
  @Override
  public void close() {
    lock.writeLock().lock();
    try {
      cleanable.clean();
    } finally {
      lock.writeLock().unlock();
    }
  }

  private TokenizerFile open() {
    lock.readLock().lock();
    try {
      checkOpen();
      return file;
    } finally {
      lock.readLock().unlock();
    }
  }

  private void checkOpen() {
    if (handle.address == 0) {
      throw new IllegalStateException("the tokenizer is closed");
    }
  }

  private static String withoutLoneSurrogates(String text) {
    StringBuilder clean = null;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (!Character.isSurrogate(c)) {
        continue;
      }
      if (Character.isHighSurrogate(c) && i + 1 < text.length() && Character.isLowSurrogate(text.charAt(i + 1))) {
        i++;
      } else {
        clean = clean == null ? new StringBuilder(text) : clean;
        clean.setCharAt(i, '\uFFFD');
      }
    }
    return clean == null ? text : clean.toString();
  }
}
