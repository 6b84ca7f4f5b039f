package dev.lanes.token.template;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;
import java.util.ArrayList;
import java.util.List;

/** The operators + - * / // % ** and the unary signs on Python values. */
final class Arithmetic {
  /** Digits that make the quotient of two large integers round correctly to a double in all but contrived cases. */
  private static final MathContext QUOTIENT = new MathContext(60);

  private Arithmetic() {}

  static Object apply(String operator, Object left, Object right, Render render) {
    if (left instanceof Undefined undefined) {
      throw undefined.failure();
    }
    // A string formats whatever comes, Undefined included.
    if (operator.equals("%") && Strings.is(left)) {
      return PercentFormat.format(left, right, render);
    }
    if (right instanceof Undefined undefined) {
      throw undefined.failure();
    }
    if (Numbers.is(left) && Numbers.is(right)) {
      return left instanceof Double || right instanceof Double
          ? floating(operator, Numbers.toDouble(left), Numbers.toDouble(right))
          : integral(operator, left, right);
    }
    Object result = switch (operator) {
      case "+" -> concatenate(left, right, render);
      case "*" -> Numbers.isInteger(right) ? repeat(left, right, render) : Numbers.isInteger(left) ? repeat(right, left, render) : null;
      default -> null;
    };
    if (result == null) {
      if (operator.equals("-") && (left instanceof DictView || right instanceof DictView)) {
        throw Failure.unsupported("a set made of dict views");
      }
      throw new Failure("unsupported operand type(s) for " + operator + ": '" + Types.name(left) + "' and '" + Types.name(right) + "'");
    }
    return result;
  }

  private static Object concatenate(Object left, Object right, Render render) {
    if (Strings.is(left) && Strings.is(right)) {
      boolean markup = left instanceof Markup || right instanceof Markup;
      String first = markup ? Markup.escape(left, render).text() : Strings.text(left);
      String second = markup ? Markup.escape(right, render).text() : Strings.text(right);
      render.chargeText(first.length(), second.length());
      render.charge(first.length());
      return markup ? new Markup(first + second) : first + second;
    }
    if (left instanceof List<?> first && right instanceof List<?> second) {
      return join(first, second, render);
    }
    if (left instanceof Tuple first && right instanceof Tuple second) {
      return new Tuple(join(first.items(), second.items(), render));
    }
    return null;
  }

  private static List<Object> join(List<?> first, List<?> second, Render render) {
    render.charge(((long) first.size() + second.size()) * Limits.COPY);
    List<Object> all = new ArrayList<>(first.size() + second.size());
    all.addAll(first);
    all.addAll(second);
    return all;
  }

  private static Object repeat(Object sequence, Object count, Render render) {
    long times = Math.max(0, Numbers.index(count, "repetition"));
    if (Strings.is(sequence)) {
      return Strings.like(sequence, new Output(render).repeat(Strings.text(sequence), times).toString());
    }
    if (!(sequence instanceof List) && !(sequence instanceof Tuple)) {
      return null;
    }
    List<?> items = sequence instanceof Tuple tuple ? tuple.items() : (List<?>) sequence;
    if (items.isEmpty()) {
      times = 0;
    }
    render.charge(times > Limits.WORK ? Long.MAX_VALUE : times * items.size() * Limits.COPY);
    List<Object> all = new ArrayList<>((int) times * items.size());
    for (long i = 0; i < times; i++) {
      all.addAll(items);
    }
    return sequence instanceof Tuple ? new Tuple(all) : all;
  }

  private static Object integral(String operator, Object left, Object right) {
    if (left instanceof Long a && right instanceof Long b) {
      switch (operator) {
        case "+" -> {
          long sum = a + b;
          if (((a ^ sum) & (b ^ sum)) >= 0) {
            return sum;
          }
        }
        case "-" -> {
          long difference = a - b;
          if (((a ^ b) & (a ^ difference)) >= 0) {
            return difference;
          }
        }
        default -> { }
      }
    }
    BigInteger a = Numbers.big(left);
    BigInteger b = Numbers.big(right);
    if (b.signum() == 0 && (operator.equals("/") || operator.equals("//") || operator.equals("%"))) {
      throw new Failure(operator.equals("/") ? "division by zero" : "integer division or modulo by zero");
    }
    return switch (operator) {
      case "+" -> Numbers.normalize(a.add(b));
      case "-" -> Numbers.normalize(a.subtract(b));
      case "*" -> Numbers.normalize(a.multiply(b));
      case "/" -> quotient(a, b);
      case "//" -> {
        BigInteger[] parts = a.divideAndRemainder(b);
        boolean down = parts[1].signum() != 0 && parts[1].signum() != b.signum();
        yield Numbers.normalize(down ? parts[0].subtract(BigInteger.ONE) : parts[0]);
      }
      case "%" -> {
        BigInteger remainder = a.remainder(b);
        yield Numbers.normalize(remainder.signum() != 0 && remainder.signum() != b.signum() ? remainder.add(b) : remainder);
      }
      default -> power(a, b);
    };
  }

  private static double quotient(BigInteger a, BigInteger b) {
    boolean exact = a.bitLength() <= 53 && b.bitLength() <= 53;
    double result = exact ? a.doubleValue() / b.doubleValue()
        : new BigDecimal(a).divide(new BigDecimal(b), QUOTIENT).doubleValue();
    if (Double.isInfinite(result)) {
      throw new Failure("integer division result too large for a float");
    }
    return result;
  }

  private static Object power(BigInteger base, BigInteger exponent) {
    if (exponent.signum() < 0) {
      return floating("**", Numbers.toDouble(base), Numbers.toDouble(exponent));
    }
    boolean small = base.bitLength() <= 1 && base.abs().bitLength() <= 1;
    if (small) {
      // -1, 0 and 1 stay so, whatever the exponent.
      return Numbers.normalize(exponent.signum() == 0 ? BigInteger.ONE : exponent.testBit(0) ? base : base.multiply(base));
    }
    if (exponent.bitLength() > 16 || (base.bitLength() - 1L) * exponent.intValue() > Limits.INTEGER_BITS) {
      throw new Failure("an integer of more than " + Limits.INTEGER_BITS + " bits is too large");
    }
    return Numbers.normalize(base.pow(exponent.intValue()));
  }

  private static Object floating(String operator, double a, double b) {
    if (b == 0 && (operator.equals("/") || operator.equals("//") || operator.equals("%"))) {
      throw new Failure(operator.equals("%") ? "float modulo" : operator.equals("//") ? "float floor division by zero"
          : "float division by zero");
    }
    return switch (operator) {
      case "+" -> a + b;
      case "-" -> a - b;
      case "*" -> a * b;
      case "/" -> a / b;
      case "%" -> modulo(a, b);
      case "//" -> floorDivide(a, b);
      default -> floatPower(a, b);
    };
  }

  /** The remainder with the sign of the divisor. */
  private static double modulo(double a, double b) {
    double remainder = a % b;
    if (remainder == 0) {
      return Math.copySign(0.0, b);
    }
    return remainder < 0 != b < 0 ? remainder + b : remainder;
  }

  private static double floorDivide(double a, double b) {
    double remainder = a % b;
    double quotient = (a - remainder) / b;
    if (remainder != 0 && b < 0 != remainder < 0) {
      quotient -= 1;
    }
    if (quotient == 0) {
      return Math.copySign(0.0, a / b);
    }
    double floor = Math.floor(quotient);
    return quotient - floor > 0.5 ? floor + 1 : floor;
  }

  private static Object floatPower(double a, double b) {
    if (a == 0 && b < 0) {
      throw new Failure("0.0 cannot be raised to a negative power");
    }
    if (a < 0 && !Double.isInfinite(a) && !Double.isInfinite(b) && b != Math.rint(b)) {
      throw Failure.unsupported("a complex number, made by a fractional power of a negative number");
    }
    // IEEE and Python agree that these are 1 where Java says nan.
    double result = a == 1 || a == -1 && Double.isInfinite(b) ? 1.0 : Math.pow(a, b);
    if (Double.isInfinite(result) && !Double.isInfinite(a) && !Double.isInfinite(b)) {
      throw new Failure("numerical result out of range");
    }
    return result;
  }

  static Object negate(Object value) {
    requireNumber(value, "-");
    return value instanceof Double number ? (Object) (-number) : Numbers.normalize(Numbers.big(value).negate());
  }

  static Object plus(Object value) {
    requireNumber(value, "+");
    return value instanceof Double ? value : Numbers.normalize(Numbers.big(value));
  }

  private static void requireNumber(Object value, String operator) {
    if (value instanceof Undefined undefined) {
      throw undefined.failure();
    }
    if (!Numbers.is(value)) {
      throw new Failure("bad operand type for unary " + operator + ": '" + Types.name(value) + "'");
    }
  }
}
