package dev.lanes;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.lanes.format.SafetensorsFile;
import dev.lanes.format.TensorInfo;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;

/** Models with reference outputs that live beside the repository; tests that need them are skipped where they are not there. */
final class Shared {
  private Shared() {}

  static Path model(String name) {
    String environment = System.getenv("LANES_SHARED");
    Path shared = environment != null ? Path.of(environment) : Path.of(System.getProperty("lanes.root", "."), "..", "shared");
    Path model = shared.resolve("models").resolve(name).normalize();
    assumeTrue(Files.isDirectory(model), "skipped: " + model + " is not there (LANES_SHARED names another place for shared/)");
    return model;
  }

  /** Ids stored in the model's reference outputs. */
  static int[] ids(Path model, String tensor) {
    ByteBuffer bytes = read(model, tensor);
    int[] ids = new int[bytes.remaining() / Integer.BYTES];
    bytes.asIntBuffer().get(ids);
    return ids;
  }

  /** [rows * columns] stored in the model's reference outputs. */
  static float[] floats(Path model, String tensor) {
    ByteBuffer bytes = read(model, tensor);
    float[] values = new float[bytes.remaining() / Float.BYTES];
    bytes.asFloatBuffer().get(values);
    return values;
  }

  /** What the reference outputs say about themselves. */
  static String metadata(Path model, String key) {
    try (SafetensorsFile file = SafetensorsFile.open(model.resolve("expected.safetensors"))) {
      return file.metadata().get(key);
    }
  }

  private static ByteBuffer read(Path model, String tensor) {
    try (SafetensorsFile file = SafetensorsFile.open(model.resolve("expected.safetensors"))) {
      TensorInfo info = file.tensor(tensor);
      ByteBuffer bytes = ByteBuffer.allocate((int) info.bytes()).order(ByteOrder.LITTLE_ENDIAN);
      file.read(info, 0, bytes);
      return bytes.flip();
    }
  }
}
