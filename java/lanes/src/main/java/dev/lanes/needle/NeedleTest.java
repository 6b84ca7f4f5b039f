package dev.lanes.needle;

import dev.lanes.ChatMessage;
import dev.lanes.ChatOptions;
import dev.lanes.Generation;
import dev.lanes.LanguageModel;
import dev.lanes.error.ContextOverflowException;
import dev.lanes.error.LanesException;
import dev.lanes.error.UnsupportedRequestException;
import dev.lanes.token.Tokenizer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Consumer;

/**
 * A needle test of one model. For every cell of lengths x depths x policies x trials it builds a text of whole sentences with the needle
 * between two of them, asks for the needle's number by greedy decoding, and compares. All policies get the same prompts.
 *
 * <p>A model with a chat template is asked in a user message and its answer must hold the number; one without, or one whose template hands
 * a message on as it is, continues a sentence, and the number must come first.
 */
public final class NeedleTest {
  /** Probes that are in the engine's queue at once: enough to batch, few enough that an interrupted run loses little. */
  private static final int OUTSTANDING = 16;
  private static final int COMPLETION_TOKENS = 12;
  private static final int CHAT_TOKENS = 48;

  private record Pending(NeedleProbe probe, Prompts.Prompt prompt, CompletableFuture<Generation> generation) {}

  private final LanguageModel model;
  private final NeedleSpec spec;
  private final boolean chat;
  private final int answerTokens;
  private final Prompts prompts;

  /** @throws UnsupportedRequestException if the model takes no text or does not generate */
  public NeedleTest(LanguageModel model, NeedleSpec spec) {
    this.model = Objects.requireNonNull(model, "model is null");
    this.spec = Objects.requireNonNull(spec, "spec is null");
    if (model.info().encoder()) {
      throw new UnsupportedRequestException(model.info().config().architecture() + " is an encoder and does not generate");
    }
    Tokenizer tokenizer = model.tokenizer().orElseThrow(() -> new UnsupportedRequestException(
        "the needle test needs a tokenizer, but " + model.info().directory() + " has no tokenizer.json"));
    chat = spec.chatTemplate() && model.info().hasChatTemplate() && marksTurns(model, tokenizer);
    answerTokens = spec.answerTokens().orElse(chat ? CHAT_TOKENS : COMPLETION_TOKENS);
    prompts = new Prompts(model, tokenizer, spec, chat, answerTokens);
  }

  /** Whether a message in the chat template is more than its text: a model that only continues texts has a template that adds nothing. */
  private static boolean marksTurns(LanguageModel model, Tokenizer tokenizer) {
    String message = "The secret number is";
    String rendered = model.renderChat(List.of(ChatMessage.user(message)), ChatOptions.defaults());
    return !Arrays.equals(tokenizer.encode(rendered, false), tokenizer.encode(message, true));
  }

  /** Whether the model's chat template is used. */
  public boolean usesChatTemplate() {
    return chat;
  }

  /** Room for each answer, in tokens. */
  public int answerTokens() {
    return answerTokens;
  }

  /** All probes in the order in which they run; those that share a prompt follow one another. */
  public List<NeedleProbe> probes() {
    List<NeedleProbe> probes = new ArrayList<>();
    for (int length : spec.lengths()) {
      for (int trial = 0; trial < spec.trials(); trial++) {
        for (int depth : spec.depths()) {
          for (NeedlePolicy policy : spec.policies()) {
            probes.add(new NeedleProbe(policy, length, depth, trial));
          }
        }
      }
    }
    return probes;
  }

  /** Runs all probes. */
  public List<NeedleOutcome> run() {
    return run(List.of(), outcome -> {});
  }

  /**
   * Runs the probes that have no outcome yet.
   *
   * @param known outcomes of an earlier run with the same model and the same spec
   * @param listener called on this thread with every new outcome, in the order of {@link #probes}
   * @return the outcomes of all probes, in their order
   * @throws IllegalArgumentException if a length is too short for its question, or a policy's numbers do not fit the context
   * @throws LanesException if a generation fails; the outcomes before it have reached the listener
   */
  public List<NeedleOutcome> run(Collection<NeedleOutcome> known, Consumer<? super NeedleOutcome> listener) {
    Objects.requireNonNull(listener, "listener is null");
    Map<NeedleProbe, NeedleOutcome> outcomes = new HashMap<>();
    known.forEach(outcome -> outcomes.put(outcome.probe(), outcome));
    List<NeedleProbe> probes = probes();
    Deque<Pending> pending = new ArrayDeque<>();
    Prompts.Prompt prompt = null;
    NeedleProbe last = null;
    try {
      for (NeedleProbe probe : probes) {
        if (outcomes.containsKey(probe)) {
          continue;
        }
        if (last == null || !sharesPrompt(last, probe)) {
          prompt = prompts.build(probe.length(), probe.depth(), probe.trial());
        }
        last = probe;
        pending.add(new Pending(probe, prompt, submit(probe, prompt)));
        while (pending.size() >= OUTSTANDING) {
          finish(pending.remove(), outcomes, listener);
        }
      }
      while (!pending.isEmpty()) {
        finish(pending.remove(), outcomes, listener);
      }
    } finally {
      pending.forEach(rest -> rest.generation().cancel(true));
    }
    return probes.stream().map(outcomes::get).toList();
  }

  private static boolean sharesPrompt(NeedleProbe a, NeedleProbe b) {
    return a.length() == b.length() && a.depth() == b.depth() && a.trial() == b.trial();
  }

  private CompletableFuture<Generation> submit(NeedleProbe probe, Prompts.Prompt prompt) {
    try {
      return model.submit(prompt.ids(), probe.policy().options(answerTokens));
    } catch (ContextOverflowException e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  private void finish(Pending done, Map<NeedleProbe, NeedleOutcome> outcomes, Consumer<? super NeedleOutcome> listener) {
    NeedleOutcome outcome = outcome(done);
    outcomes.put(done.probe(), outcome);
    listener.accept(outcome);
  }

  private NeedleOutcome outcome(Pending done) {
    Prompts.Prompt prompt = done.prompt();
    Generation generation;
    try {
      generation = done.generation().join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof ContextOverflowException) {
        return outcome(done, NeedleOutcome.Verdict.REFUSED, 0, "");
      }
      throw e.getCause() instanceof RuntimeException cause ? cause : e;
    } catch (CancellationException e) {
      throw new IllegalStateException("the model was closed", e);
    }
    String output = generation.text();
    boolean found = chat ? Answers.holds(output, prompt.answer()) : Answers.begins(output, prompt.answer());
    return outcome(done, found ? NeedleOutcome.Verdict.FOUND : NeedleOutcome.Verdict.LOST, generation.droppedTokens(), output);
  }

  private static NeedleOutcome outcome(Pending done, NeedleOutcome.Verdict verdict, long dropped, String output) {
    Prompts.Prompt prompt = done.prompt();
    return new NeedleOutcome(done.probe(), verdict, prompt.ids().length, prompt.needleBegin(), prompt.needleEnd(), dropped, prompt.answer(),
        output);
  }
}
