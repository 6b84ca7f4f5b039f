package dev.lanes.cli;

import java.io.PrintWriter;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The {@code lanes} command. */
@Command(
    name = "lanes",
    description = "Runs Transformer language models inside the JVM.",
    mixinStandardHelpOptions = true,
    versionProvider = Main.Version.class,
    subcommands = {
      GenerateCommand.class,
      ChatCommand.class,
      EmbedCommand.class,
      NeedleCommand.class,
      PerplexityCommand.class,
      QuantizeCommand.class,
      InspectCommand.class,
      InfoCommand.class,
      BenchCommand.class
    },
    footer = {
      "",
      "Exit codes: 0 done, 1 failure, 2 wrong options, 3 bad model, 4 prompt exceeds the context, 5 out of memory."
    })
public final class Main implements Runnable {
  @Spec private CommandSpec spec;

  public static void main(String[] args) {
    // The JVM's exit also stops the tokenizer's and the engine's threads.
    System.exit(run(Console.ofProcess(), Arguments.asTyped(args)));
  }

  /** Runs a command line against a console; returns the exit code. */
  static int run(Console console, String... args) {
    CommandLine line = new CommandLine(new Main(), new ConsoleFactory(console));
    line.setOut(new PrintWriter(console.out(), true));
    line.setErr(new PrintWriter(console.err(), true));
    line.setCaseInsensitiveEnumValuesAllowed(true);
    line.setParameterExceptionHandler((failure, ignored) -> usage(console, failure));
    line.setExecutionExceptionHandler((failure, ignored, result) -> failed(console, failure));
    int exitCode = line.execute(args);
    if (exitCode == ExitCode.OK && console.out().checkError()) {
      console.err().println("lanes: cannot write to standard output");
      return ExitCode.FAILURE;
    }
    return exitCode;
  }

  private static int usage(Console console, ParameterException failure) {
    CommandLine line = failure.getCommandLine();
    console.err().println("lanes: " + failure.getMessage());
    CommandLine.UnmatchedArgumentException.printSuggestions(failure, line.getErr());
    console.err().println("Try '" + line.getCommandSpec().qualifiedName() + " --help'.");
    return ExitCode.USAGE;
  }

  private static int failed(Console console, Exception failure) {
    if (ExitCode.isExplained(failure)) {
      console.err().println("lanes: " + failure.getMessage());
    } else {
      console.err().println("lanes: unexpected failure, please report it");
      failure.printStackTrace(console.err());
    }
    return ExitCode.of(failure);
  }

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "which command? " + String.join(", ", spec.subcommands().keySet()));
  }

  /** Gives every command its console. */
  private record ConsoleFactory(Console console) implements CommandLine.IFactory {
    @Override
    public <K> K create(Class<K> type) throws Exception {
      for (var constructor : type.getDeclaredConstructors()) {
        if (constructor.getParameterCount() == 1 && constructor.getParameterTypes()[0] == Console.class) {
          return type.cast(constructor.newInstance(console));
        }
      }
      return CommandLine.defaultFactory().create(type);
    }
  }

  /** The version in the jar's manifest. */
  static final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() {
      return new String[] {"lanes " + text() + " (Java " + System.getProperty("java.version") + ")"};
    }

    static String text() {
      String version = Main.class.getPackage().getImplementationVersion();
      return version == null ? "development" : version;
    }
  }
}
