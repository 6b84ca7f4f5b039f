package dev.lanes.cli;

import java.io.IOException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * The command line as it was typed. In a locale without UTF-8 the JVM replaces other characters of its arguments before {@code main}
 * sees them; a prompt in Chinese would arrive as question marks. Linux keeps the bytes.
 */
final class Arguments {
  private static final Path RAW = Path.of("/proc/self/cmdline");

  private Arguments() {}

  static String[] asTyped(String[] decoded) {
    String encoding = System.getProperty("sun.jnu.encoding", "UTF-8");
    if (Charset.isSupported(encoding) && Charset.forName(encoding).equals(StandardCharsets.UTF_8)) {
      return decoded;
    }
    if (Arrays.stream(decoded).allMatch(Arguments::isAscii) || !Files.isReadable(RAW)) {
      return decoded;
    }
    try {
      return lastOf(new String(Files.readAllBytes(RAW), StandardCharsets.UTF_8), decoded);
    } catch (IOException e) {
      return decoded;
    }
  }

  /** The program's own arguments are the last of the process's, each ended by a zero byte. */
  static String[] lastOf(String raw, String[] decoded) {
    String[] all = raw.split("\0", -1);
    int end = all.length - 1;
    return end < decoded.length ? decoded : Arrays.copyOfRange(all, end - decoded.length, end);
  }

  private static boolean isAscii(String text) {
    return text.chars().allMatch(c -> c < 128);
  }
}
