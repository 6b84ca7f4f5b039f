import dev.lanes.FinishReason;
import dev.lanes.Generation;
import dev.lanes.GenerationOptions;
import dev.lanes.Lanes;
import dev.lanes.LanguageModel;
import dev.lanes.LoadOptions;
import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import dev.lanes.context.ContextPolicy;
import java.io.BufferedWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayDeque;
import java.util.Random;
import java.util.concurrent.CompletableFuture;

/**
 * Writes stories with a teacher model: {@code java -cp lanes.jar StoryGenerator.java MODEL_DIR OUT.txt STORIES SEED}.
 *
 * <p>Appends to OUT one story a line (newlines as a two-character backslash-n); only those that the teacher ended itself. Each story has a
 * seed of its own, {@code SEED * 1,000,003 + index}, from which its opening, temperature and tokens follow. A second run with the same OUT
 * begins after the last index in OUT.index.
 */
final class StoryGenerator {
  private static final int BOS = 1;
  private static final int BATCH = 256;
  private static final int QUEUE = 2 * BATCH;
  /** The teacher's context is 256; its positions are relative, so a window lets a story end after it. */
  private static final int WINDOW = 240;
  private static final int MAX_TOKENS = 400;

  private static final String[] NAMES = words("Lily Tom Ben Mia Anna Sam Max Sue Tim Lucy Jack Emma Leo Ella Noah Zoe Finn Ruby Oscar Ivy Jake "
      + "Nora Peter Daisy Harry Molly Alex Grace Billy Rosie Charlie Amy Toby Kate Luke Sara Danny Jane Bobby Clara Spot Bella Rex Fluffy "
      + "Kitty Freddy Polly Benny Nelly Percy");
  private static final String[] TRAITS = words("little happy curious brave shy kind clever lonely sleepy silly tiny old grumpy playful gentle "
      + "proud young wise hungry careful");
  private static final String[] BEINGS = words("girl boy dog cat rabbit bear bird mouse fox frog duck fish turtle squirrel lion elephant "
      + "monkey butterfly farmer princess king dragon robot bee owl pig horse sheep hen kitten puppy");
  private static final String[] PLACES = {"in a small house", "near the forest", "by the sea", "on a big farm", "in a tall tree",
      "in a quiet village", "under a bridge", "next to a lake", "in a castle", "in the garden", "on a hill", "in the city",
      "near the river", "behind the school"};
  private static final String[] THINGS = {"a red ball", "a shiny key", "an old box", "a big book", "a blue kite", "a lost hat",
      "a magic stone", "a broken toy", "a yellow flower", "a strange door", "a long rope", "a golden ring", "a warm coat", "a round pumpkin",
      "a wooden boat", "a drum", "a letter", "a bucket of paint", "a sweet cake", "a bag of seeds", "a little bell", "a map", "a candle",
      "a big umbrella", "a jar of honey", "an apple"};
  private static final String[] OUTINGS = {"went to the park", "walked in the forest", "played in the garden", "went to the beach",
      "helped in the kitchen", "climbed the hill", "visited grandma", "went to the market", "sat by the window", "woke up very early",
      "rode a bike", "built a house of sand", "went fishing", "looked for a friend", "heard a loud noise", "made a plan"};

  public static void main(String[] args) throws Exception {
    Path out = Path.of(args[1]);
    Path mark = Path.of(args[1] + ".index");
    int stories = Integer.parseInt(args[2]);
    long seed = Long.parseLong(args[3]);
    int first = Files.exists(mark) ? Integer.parseInt(Files.readString(mark).strip()) : 0;
    LoadOptions load = LoadOptions.builder().weightType(DType.BF16).compute(Compute.BF16).cacheType(DType.BF16).maxBatch(BATCH)
        .cacheTokens(BATCH * 320).threads(2).build();
    try (LanguageModel model = Lanes.load(Path.of(args[0]), load);
        BufferedWriter writer = Files.newBufferedWriter(out, StandardCharsets.UTF_8, StandardOpenOption.CREATE, StandardOpenOption.APPEND)) {
      ArrayDeque<Story> pending = new ArrayDeque<>();
      long start = System.nanoTime();
      long tokens = 0;
      int kept = 0;
      int next = first;
      for (int index = first; index < stories; index++) {
        while (next < stories && pending.size() < QUEUE) {
          pending.add(submit(model, seed * 1_000_003 + next++));
        }
        Story story = pending.remove();
        Generation generation = story.generation().get();
        tokens += generation.outputIds().length;
        if (generation.finishReason() == FinishReason.END_TOKEN) {
          kept++;
          writer.write((story.opening() + generation.text()).strip().replace("\n", "\\n"));
          writer.newLine();
        }
        if ((index + 1) % 128 == 0 || index + 1 == stories) {
          writer.flush();
          Files.writeString(mark, Integer.toString(index + 1));
          System.out.printf("%d stories, %d of them ended; %.0f tokens/s%n", index + 1 - first, kept,
              tokens / ((System.nanoTime() - start) * 1e-9));
        }
      }
    }
  }

  private record Story(String opening, CompletableFuture<Generation> generation) {}

  private static Story submit(LanguageModel model, long seed) {
    Random random = new Random(seed);
    random.nextInt();
    String opening = opening(random);
    GenerationOptions options = GenerationOptions.builder().maxTokens(MAX_TOKENS).temperature(0.8 + 0.2 * random.nextDouble()).minP(0.02)
        .seed(random.nextLong()).stopTokenIds(BOS).contextPolicy(ContextPolicy.slidingWindow(WINDOW)).build();
    return new Story(opening, opening.isEmpty() ? model.submit(new int[] {BOS}, options) : model.submit(opening, options));
  }

  private static String opening(Random random) {
    String name = pick(random, NAMES);
    String trait = pick(random, TRAITS);
    String being = pick(random, BEINGS);
    String place = pick(random, PLACES);
    String thing = pick(random, THINGS);
    String outing = pick(random, OUTINGS);
    return switch (random.nextInt(12)) {
      case 0, 1, 2 -> "";
      case 3 -> "Once upon a time, there was a " + trait + " " + being + " named " + name + ".";
      case 4 -> "Once upon a time, a " + trait + " " + being + " lived " + place + ".";
      case 5 -> "One day, " + name + " " + outing + ".";
      case 6 -> name + " was a " + trait + " " + being + " who had " + thing + ".";
      case 7 -> "One day, a " + being + " found " + thing + ".";
      case 8 -> "Once upon a time, " + name + " and a " + trait + " " + being + " lived " + place + ".";
      case 9 -> "The " + trait + " " + being + " " + outing + ".";
      case 10 -> name + " and " + pick(random, NAMES) + " were friends. They " + outing + " and found " + thing + ".";
      default -> "There was once a " + being + " who wanted " + thing + ".";
    };
  }

  private static String[] words(String text) {
    return text.split(" ");
  }

  private static String pick(Random random, String[] choices) {
    return choices[random.nextInt(choices.length)];
  }
}
