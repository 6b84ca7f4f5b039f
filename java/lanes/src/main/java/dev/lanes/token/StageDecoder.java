package dev.lanes.token;

import dev.lanes.format.TokenizerFile;
import dev.lanes.format.TokenizerFile.DecoderStep;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/** An {@link IncrementalDecoder} of the decoder steps of a tokenizer.json. */
final class StageDecoder implements IncrementalDecoder {
  private final TokenizerFile file;
  private final boolean skipSpecialTokens;
  private final List<DecoderStage> stages = new ArrayList<>();
  private final StringBuilder out = new StringBuilder();
  private boolean flushed;

  StageDecoder(TokenizerFile file, boolean skipSpecialTokens) {
    this.file = file;
    this.skipSpecialTokens = skipSpecialTokens;
    boolean fused = false;
    for (DecoderStep step : file.decoders()) {
      stages.add(DecoderStage.of(step, fused));
      fused |= DecoderStage.fuses(step);
    }
  }

  @Override
  public String append(int id) {
    checkOpen();
    add(id);
    return drain();
  }

  /** Takes an id; its text stays inside. */
  void add(int id) {
    if (id < 0) {
      throw new IllegalArgumentException("the token id " + id + " is negative");
    }
    if (id >= file.tokens().size() || skipSpecialTokens && file.special().contains(id)) {
      return;
    }
    from(0).accept(file.tokens().get(id));
  }

  @Override
  public String flush() {
    checkOpen();
    flushed = true;
    for (int i = 0; i < stages.size(); i++) {
      stages.get(i).finish(from(i + 1));
    }
    return drain();
  }

  /** What takes a string at stage {@code index}: the stage, or the output behind the last one. */
  private Consumer<String> from(int index) {
    return index == stages.size() ? out::append : text -> stages.get(index).accept(text, from(index + 1));
  }

  private String drain() {
    String text = out.toString();
    out.setLength(0);
    return text;
  }

  private void checkOpen() {
    if (flushed) {
      throw new IllegalStateException("the decoder was flushed; each sequence needs a decoder of its own");
    }
  }
}
