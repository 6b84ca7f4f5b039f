package dev.lanes.cli;

import dev.lanes.needle.NeedleGrid;
import java.util.List;
import java.util.OptionalDouble;

/** Draws grids of scores side by side: red where nothing was found, green where everything was, grey where the prompt was refused. */
final class HeatMap {
  private static final int PANELS_PER_ROW = 3;
  private static final int CELL_WIDTH = 64;
  private static final int CELL_HEIGHT = 32;
  /** Room for the depths on the left, the policy above, the lengths below. */
  private static final int LEFT = 72;
  private static final int TOP = 36;
  private static final int BOTTOM = 48;
  private static final int MARGIN = 16;
  private static final int SCALE = 2;

  private static final int BLACK = 0x202020;
  private static final int WHITE = 0xFFFFFF;
  private static final int GREY = 0xC8C8C8;
  private static final int[] COLOURS = {0xE0503C, 0xF2B84B, 0xF5E663, 0xA8D468, 0x46B45A};

  private final List<NeedleGrid> grids;

  HeatMap(List<NeedleGrid> grids) {
    this.grids = grids;
  }

  byte[] png() {
    return picture().png();
  }

  Picture picture() {
    int columns = grids.get(0).lengths().size();
    int rows = grids.get(0).depths().size();
    int titles = grids.stream().mapToInt(grid -> PixelFont.width(title(grid), SCALE)).max().orElse(0);
    int panelWidth = LEFT + Math.max(columns * CELL_WIDTH, titles) + MARGIN;
    int panelHeight = TOP + rows * CELL_HEIGHT + BOTTOM;
    int across = Math.min(PANELS_PER_ROW, grids.size());
    int down = (grids.size() + across - 1) / across;
    Picture picture = new Picture(across * panelWidth + MARGIN, down * panelHeight + MARGIN, WHITE);
    for (int i = 0; i < grids.size(); i++) {
      panel(picture, grids.get(i), MARGIN + i % across * panelWidth, MARGIN + i / across * panelHeight);
    }
    return picture;
  }

  private static String title(NeedleGrid grid) {
    return grid.policy().text() + "  " + NeedleReport.percent(grid.score()) + (grid.score().isPresent() ? "%" : "");
  }

  private static void panel(Picture picture, NeedleGrid grid, int x, int y) {
    int left = x + LEFT;
    int top = y + TOP;
    PixelFont.draw(picture, title(grid), left, y + 8, SCALE, BLACK);
    for (int row = 0; row < grid.depths().size(); row++) {
      String depth = grid.depths().get(row) + "%";
      int middle = top + row * CELL_HEIGHT + (CELL_HEIGHT - PixelFont.HEIGHT * SCALE) / 2;
      PixelFont.draw(picture, depth, left - 8 - PixelFont.width(depth, SCALE), middle, SCALE, BLACK);
      for (int column = 0; column < grid.lengths().size(); column++) {
        OptionalDouble score = grid.score(row, column);
        int cell = left + column * CELL_WIDTH;
        picture.fill(cell, top + row * CELL_HEIGHT, CELL_WIDTH - 1, CELL_HEIGHT - 1, colour(score));
        String text = NeedleReport.percent(score);
        PixelFont.draw(picture, text, cell + (CELL_WIDTH - PixelFont.width(text, SCALE)) / 2, middle, SCALE, BLACK);
      }
    }
    int below = top + grid.depths().size() * CELL_HEIGHT + 8;
    for (int column = 0; column < grid.lengths().size(); column++) {
      String length = grid.lengths().get(column).toString();
      PixelFont.draw(picture, length, left + column * CELL_WIDTH + (CELL_WIDTH - PixelFont.width(length, SCALE)) / 2, below, SCALE, BLACK);
    }
    PixelFont.draw(picture, "tokens", left, below + 20, 1, BLACK);
    PixelFont.draw(picture, "depth", x, top - 10, 1, BLACK);
  }

  /** A score's colour, between the two nearest of the scale. */
  static int colour(OptionalDouble score) {
    if (score.isEmpty()) {
      return GREY;
    }
    double place = score.getAsDouble() * (COLOURS.length - 1);
    int lower = Math.min((int) place, COLOURS.length - 2);
    return mix(COLOURS[lower], COLOURS[lower + 1], place - lower);
  }

  private static int mix(int a, int b, double share) {
    int mixed = 0;
    for (int shift = 0; shift <= 16; shift += 8) {
      int from = a >> shift & 0xFF;
      int to = b >> shift & 0xFF;
      mixed |= (int) Math.round(from + (to - from) * share) << shift;
    }
    return mixed;
  }
}
