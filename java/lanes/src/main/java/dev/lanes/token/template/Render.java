package dev.lanes.token.template;

import java.time.Clock;
import java.util.Map;

/** The state of one rendering: its variables, its clock, the line it is at, and how much of its allowance is spent. */
final class Render {
  final Map<String, Object> variables;
  final Clock clock;
  /** Line of the template that runs now, for error messages. */
  int line = 1;
  private final long maxText;
  private long work;
  private int calls;

  /** @param inputSize characters and elements of the variables, on which the allowance depends */
  Render(Map<String, Object> variables, Clock clock, long inputSize) {
    this.variables = variables;
    this.clock = clock;
    this.work = Limits.WORK + Limits.WORK_PER_INPUT * inputSize;
    this.maxText = Math.min(Integer.MAX_VALUE, Limits.TEXT + Limits.TEXT_PER_INPUT * inputSize);
  }

  /** For work whose amount the caller of the engine decides, not the template. */
  static Render unlimited() {
    return new Render(Map.of(), Clock.systemUTC(), Integer.MAX_VALUE);
  }

  /** Accounts for work about to be done: memory as well as time are bounded by the sum. */
  void charge(long units) {
    work -= units;
    if (work < 0 || units < 0) {
      throw new Failure("the template does more work than is allowed for one rendering");
    }
  }

  /** Accounts for text about to be made. */
  void chargeText(long present, long added) {
    charge(added);
    if (present + added > maxText) {
      throw new Failure("the template makes a text of more than " + maxText + " characters");
    }
  }

  void enterCall() {
    if (++calls > Limits.CALLS) {
      throw new Failure("more than " + Limits.CALLS + " macro or recursive loop calls inside one another");
    }
  }

  void leaveCall() {
    calls--;
  }
}
