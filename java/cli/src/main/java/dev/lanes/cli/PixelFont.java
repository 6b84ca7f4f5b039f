package dev.lanes.cli;

import java.util.Locale;

/** Letters of 5 x 7 pixels, for the labels of a {@link Picture}. Capitals are drawn as small letters. */
final class PixelFont {
  static final int HEIGHT = 7;
  private static final int WIDTH = 5;
  private static final String CHARACTERS = "0123456789abcdefghijklmnopqrstuvwxyz:,.-%@/";
  /** A character's seven rows from the top, two hexadecimal digits each, the leftmost pixel in the highest of five bits. */
  private static final String[] GLYPHS = {
      "0E11131519110E", "040C040404040E", "0E11010204081F", "1F02040201110E", "02060A121F0202", "1F101E0101110E", "0608101E11110E",
      "1F010204080808", "0E11110E11110E", "0E11110F01020C", "00000E010F110F", "10101E1111111E", "00000E1010110E", "01010F1111110F",
      "00000E111F100E", "0609081C080808", "00000F110F010E", "10101E11111111", "04000C0404040E", "0200060202120C", "10101214181412",
      "0C04040404040E", "00001A15151515", "00001E11111111", "00000E1111110E", "00001E111E1010", "00000F110F0101", "00001619101010",
      "00000F100E011E", "08081C08080906", "0000111111110F", "00001111110A04", "0000111115150A", "0000110A040A11", "000011110F010E",
      "00001F0204081F", "00040400040400", "00000000040408", "00000000000C0C", "0000001F000000", "18190204081303",
      "0E11171517100E", "01010204081010"};
  private static final String UNKNOWN = "1F11111111111F";

  private PixelFont() {}

  static int width(String text, int scale) {
    return text.length() * (WIDTH + 1) * scale;
  }

  static void draw(Picture picture, String text, int x, int y, int scale, int colour) {
    String small = text.toLowerCase(Locale.ROOT);
    for (int i = 0; i < small.length(); i++) {
      if (small.charAt(i) == ' ') {
        continue;
      }
      int at = CHARACTERS.indexOf(small.charAt(i));
      String glyph = at < 0 ? UNKNOWN : GLYPHS[at];
      for (int row = 0; row < HEIGHT; row++) {
        int bits = Integer.parseInt(glyph.substring(2 * row, 2 * row + 2), 16);
        for (int column = 0; column < WIDTH; column++) {
          if ((bits >> WIDTH - 1 - column & 1) != 0) {
            picture.fill(x + (i * (WIDTH + 1) + column) * scale, y + row * scale, scale, scale, colour);
          }
        }
      }
    }
  }
}
