package dev.lanes.cli;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/** Reads the UTF-8 files that options name. */
final class TextFiles {
  private TextFiles() {}

  /** The whole text of a file, or of standard input where its name is {@code -}; {@code option} is what to blame. */
  static String readOrStandardInput(String option, String name) {
    if (!name.equals("-")) {
      return read(option, Path.of(name));
    }
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(System.in.readAllBytes())).toString();
    } catch (CharacterCodingException e) {
      throw new ExitCode.UserError(option + ": standard input is not UTF-8 text", e);
    } catch (IOException e) {
      throw new ExitCode.UserError(option + ": cannot read standard input: " + e.getMessage(), e);
    }
  }

  /** The whole text of a file; {@code option} is what to blame when it cannot be read. */
  static String read(String option, Path file) {
    try {
      return Files.readString(file, StandardCharsets.UTF_8);
    } catch (NoSuchFileException e) {
      throw new ExitCode.UserError(option + ": " + file + " is missing", e);
    } catch (CharacterCodingException e) {
      throw new ExitCode.UserError(option + ": " + file + " is not UTF-8 text", e);
    } catch (IOException e) {
      throw new ExitCode.UserError(option + ": cannot read " + file + ": " + e.getMessage(), e);
    }
  }
}
