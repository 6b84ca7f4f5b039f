package dev.lanes.model;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.lanes.format.SafetensorsFile;
import dev.lanes.format.TensorInfo;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The checkpoints with reference outputs that lie beside the project; tests that need one are skipped where it is missing. */
final class SharedModels {
  private SharedModels() {}

  /** The directory {@code models/name}. */
  static Path directory(String name) {
    String given = System.getenv("LANES_SHARED");
    Path shared = given != null ? Path.of(given) : Path.of(System.getProperty("lanes.root", ".")).resolve("../shared");
    Path directory = shared.resolve("models").resolve(name).normalize();
    assumeTrue(Files.isDirectory(directory), () -> directory + " is missing: set LANES_SHARED to the folder of shared test data");
    return directory;
  }

  /**
   * What another implementation computed for a prompt.
   *
   * @param logits [tokens][vocabulary], or null
   * @param greedy ids of a greedy continuation, or null
   * @param hidden [layers + 1][tokens * hidden]; empty when not recorded
   * @param lastHidden [tokens * hidden] of an encoder, or null
   */
  record Expected(int[] prompt, float[][] logits, int[] greedy, List<float[]> hidden, float[] lastHidden) {}

  static List<Expected> expected(String name) {
    return expected(directory(name));
  }

  static List<Expected> expected(Path model) {
    List<Expected> all = new ArrayList<>();
    try (SafetensorsFile file = SafetensorsFile.open(model.resolve("expected.safetensors"))) {
      for (int i = 0; file.find(i + ".prompt_ids").isPresent(); i++) {
        List<float[]> hidden = new ArrayList<>();
        for (int layer = 0; file.find(i + ".hidden." + layer).isPresent(); layer++) {
          hidden.add(floats(file, i + ".hidden." + layer));
        }
        int[] prompt = ints(file, i + ".prompt_ids");
        float[] logits = floats(file, i + ".logits");
        all.add(new Expected(prompt, logits == null ? null : rows(logits, prompt.length), ints(file, i + ".greedy_ids"), hidden,
            floats(file, i + ".last_hidden")));
      }
    }
    return all;
  }

  /** An array cut into equal rows. */
  static float[][] rows(float[] values, int count) {
    float[][] rows = new float[count][values.length / count];
    for (int i = 0; i < count; i++) {
      System.arraycopy(values, i * rows[i].length, rows[i], 0, rows[i].length);
    }
    return rows;
  }

  private static float[] floats(SafetensorsFile file, String name) {
    ByteBuffer bytes = bytes(file, name);
    if (bytes == null) {
      return null;
    }
    float[] values = new float[bytes.remaining() / Float.BYTES];
    bytes.asFloatBuffer().get(values);
    return values;
  }

  private static int[] ints(SafetensorsFile file, String name) {
    ByteBuffer bytes = bytes(file, name);
    if (bytes == null) {
      return null;
    }
    int[] values = new int[bytes.remaining() / Integer.BYTES];
    bytes.asIntBuffer().get(values);
    return values;
  }

  private static ByteBuffer bytes(SafetensorsFile file, String name) {
    if (file.find(name).isEmpty()) {
      return null;
    }
    TensorInfo tensor = file.tensor(name);
    ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(tensor.bytes())).order(ByteOrder.LITTLE_ENDIAN);
    file.read(tensor, 0, bytes);
    return bytes.flip();
  }
}
