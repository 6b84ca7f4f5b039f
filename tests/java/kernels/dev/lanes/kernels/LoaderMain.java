package dev.lanes.kernels;

import dev.lanes.kernels.global.lanes;
import java.util.Properties;
import org.bytedeco.javacpp.Loader;

/** Run in a fresh JVM: loads the library, calls it, and says from where it was loaded; or prints why it could not. */
public final class LoaderMain {
  private LoaderMain() {}

  public static void main(String[] args) {
    try {
      NativeLibrary.load();
    } catch (NativeLibraryException e) {
      System.out.println("refused: " + e.getMessage());
      try {
        NativeLibrary.load();
      } catch (NativeLibraryException again) {
        System.out.println("again: " + (again == e));
      }
      return;
    }
    Properties libraries = new Properties();
    Loader.getLoadedLibraries().forEach(libraries::setProperty);
    System.out.println("loaded " + lanes.lanes_version().getString() + " from " + libraries.getProperty("lanes") + " and "
        + libraries.getProperty("jnilanes"));
    System.out.println("origin: " + NativeLibrary.origin());
  }
}
