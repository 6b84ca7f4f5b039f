package dev.lanes.format;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Optional;

/**
 * Checks SentencePiece's {@code precompiled_charsmap}, in base64: the size of a double-array trie in bytes (32 bits, little-endian), its
 * 32-bit units, and NUL-terminated UTF-8 replacements, whose offsets are the trie's values. The native tokenizer follows it unchecked.
 */
final class CharsMap {
  private static final int LABEL_MASK = 0xFF;
  private static final int LEAF_BIT = 1 << 31;
  private static final int HAS_LEAF_BIT = 1 << 8;
  private static final int WIDE_OFFSET_BIT = 1 << 9;

  private CharsMap() {}

  /** What is wrong with a map; empty when nothing is. */
  static Optional<String> problem(String base64) {
    byte[] bytes;
    try {
      bytes = Base64.getDecoder().decode(base64);
    } catch (IllegalArgumentException e) {
      return Optional.of("is not valid base64");
    }
    ByteBuffer map = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    if (map.remaining() < 4) {
      return Optional.of("has " + bytes.length + " bytes, too short for the size of its trie");
    }
    long size = map.getInt() & 0xFFFFFFFFL;
    if (size == 0 || size % 4 != 0 || size > map.remaining()) {
      return Optional.of("has a trie of " + size + " bytes, expected a multiple of 4 up to " + map.remaining());
    }
    int[] units = new int[(int) size / 4];
    map.asIntBuffer().get(units);
    map.position(map.position() + (int) size);
    try {
      StandardCharsets.UTF_8.newDecoder().decode(map.slice());
    } catch (CharacterCodingException e) {
      return Optional.of("has replacements that are not valid UTF-8");
    }
    return problem(units, map.slice());
  }

  private static Optional<String> problem(int[] units, ByteBuffer replacements) {
    for (int i = 0; i < units.length; i++) {
      int unit = units[i];
      if ((unit & LEAF_BIT) != 0) {
        continue;
      }
      long target = i ^ (long) (unit >>> 10) << ((unit & WIDE_OFFSET_BIT) >> 6);
      if ((target | LABEL_MASK) >= units.length) {
        return Optional.of("has a trie whose unit " + i + " leads to unit " + target + ", but there are only " + units.length);
      }
      if ((unit & HAS_LEAF_BIT) != 0) {
        int value = units[(int) target] & ~LEAF_BIT;
        boolean begins = value < replacements.limit() && (replacements.get(value) & 0xC0) != 0x80;
        if (!begins) {
          return Optional.of("has a trie whose unit " + target + " leads to no replacement: " + value);
        }
      }
    }
    return Optional.empty();
  }
}
