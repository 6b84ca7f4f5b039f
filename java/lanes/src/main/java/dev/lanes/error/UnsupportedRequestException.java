package dev.lanes.error;

/** The model cannot do what was asked of it: text without a tokenizer, chat without a template, generation with an encoder. */
public class UnsupportedRequestException extends LanesException {
  public UnsupportedRequestException(String message) {
    super(message);
  }
}
