package dev.lanes.token.template;

import java.time.Clock;
import java.util.Map;

/** The state of one rendering: its variables, its clock, the line it is at, and how much of its allowance is spent. */
final class Render {
  final Map<String, Object> variables;
  final Clock clock;
  /** Line of the template that runs now, for error messages. */
  int line = 1;
  private long work;
  private int calls;

  Render(Map<String, Object> variables, Clock clock, long work) {
    this.variables = variables;
    this.clock = clock;
    this.work = work;
  }

  /** Accounts for work about to be done: memory as well as time are bounded by the sum. */
  void charge(long units) {
    work -= units;
    if (work < 0 || units < 0) {
      throw new Failure("the template does more work than is allowed for one rendering");
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
