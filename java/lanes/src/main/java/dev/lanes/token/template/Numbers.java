package dev.lanes.token.template;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.Locale;

/** Python's numbers: int without bounds (Long, or BigInteger where it does not fit), bool as int, float; their text and back. */
final class Numbers {
  private static final BigInteger MIN_LONG = BigInteger.valueOf(Long.MIN_VALUE);
  private static final BigInteger MAX_LONG = BigInteger.valueOf(Long.MAX_VALUE);
  private static final int MAX_DECIMAL_DIGITS = 4300;

  private Numbers() {}

  static boolean isInteger(Object value) {
    return value instanceof Long || value instanceof Boolean || value instanceof BigInteger;
  }

  static boolean is(Object value) {
    return isInteger(value) || value instanceof Double;
  }

  static BigInteger big(Object integer) {
    if (integer instanceof BigInteger big) {
      return big;
    }
    return BigInteger.valueOf(integer instanceof Boolean flag ? flag ? 1 : 0 : (Long) integer);
  }

  static double toDouble(Object number) {
    if (number instanceof Double value) {
      return value;
    }
    double value = number instanceof BigInteger big ? big.doubleValue() : big(number).doubleValue();
    if (Double.isInfinite(value)) {
      throw new Failure("int too large to convert to float");
    }
    return value;
  }

  /** An int as Long if it fits; refuses one that is unreasonably large. */
  static Object normalize(BigInteger value) {
    if (value.bitLength() < Long.SIZE) {
      return value.longValue();
    }
    if (value.bitLength() > Limits.INTEGER_BITS) {
      throw new Failure("an integer of more than " + Limits.INTEGER_BITS + " bits is too large");
    }
    return value;
  }

  /** An integer argument (width, index, count) as a long; the extremes of long stand for whatever is beyond them. */
  static long index(Object value, String function) {
    if (value instanceof Long number) {
      return number;
    }
    if (value instanceof Boolean flag) {
      return flag ? 1 : 0;
    }
    if (value instanceof BigInteger big) {
      return big.max(MIN_LONG).min(MAX_LONG).longValue();
    }
    if (value instanceof Undefined undefined) {
      throw undefined.failure();
    }
    throw new Failure(function + ": '" + Types.name(value) + "' object cannot be interpreted as an integer");
  }

  /** Decimal text of an int. */
  static String text(Object integer) {
    String digits = integer instanceof Boolean flag ? flag ? "1" : "0" : integer.toString();
    if (digits.length() > MAX_DECIMAL_DIGITS && digits.replace("-", "").length() > MAX_DECIMAL_DIGITS) {
      throw new Failure("an integer of more than " + MAX_DECIMAL_DIGITS + " digits cannot be turned into text");
    }
    return digits;
  }

  /** Python's repr of a float: the shortest digits that read back as the same number, positional from 1e-4 up to 1e16. */
  static String repr(double value) {
    if (Double.isNaN(value)) {
      return "nan";
    }
    if (Double.isInfinite(value)) {
      return value > 0 ? "inf" : "-inf";
    }
    String sign = value < 0 || 1 / value < 0 ? "-" : "";
    if (value == 0) {
      return sign + "0.0";
    }
    BigDecimal shortest = shortest(Math.abs(value)).stripTrailingZeros();
    int exponent = shortest.precision() - shortest.scale() - 1;
    if (exponent >= -4 && exponent < 16) {
      String plain = shortest.toPlainString();
      return sign + (plain.indexOf('.') < 0 ? plain + ".0" : plain);
    }
    return sign + scientific(shortest, exponent);
  }

  /** Digits with one before the point, and an exponent of at least two digits. */
  private static String scientific(BigDecimal value, int exponent) {
    String digits = value.unscaledValue().toString();
    String mantissa = digits.length() == 1 ? digits : digits.charAt(0) + "." + digits.substring(1);
    return mantissa + "e" + (exponent < 0 ? "-" : "+") + (Math.abs(exponent) < 10 ? "0" : "") + Math.abs(exponent);
  }

  /** {@code Double.toString} finds the shortest digits only since JDK 19. */
  private static BigDecimal shortest(double value) {
    BigDecimal exact = new BigDecimal(value);
    for (int digits = 1; digits < 17; digits++) {
      for (RoundingMode mode : new RoundingMode[] {RoundingMode.HALF_EVEN, RoundingMode.DOWN, RoundingMode.UP}) {
        BigDecimal candidate = exact.round(new MathContext(digits, mode));
        if (candidate.doubleValue() == value) {
          return candidate;
        }
      }
    }
    return exact.round(new MathContext(17, RoundingMode.HALF_EVEN));
  }

  /** Python's {@code int(text, base)}; null if the text is not such a number. */
  static Object parseInteger(String text, int base) {
    String digits = Text.strip(text, null, true, true);
    boolean negative = digits.startsWith("-");
    if (negative || digits.startsWith("+")) {
      digits = digits.substring(1);
    }
    String prefix = digits.length() > 2 && digits.charAt(0) == '0' ? digits.substring(0, 2).toLowerCase(Locale.ROOT) : "";
    int prefixBase = switch (prefix) {
      case "0x" -> 16;
      case "0o" -> 8;
      case "0b" -> 2;
      default -> 0;
    };
    int radix = base == 0 ? prefixBase == 0 ? 10 : prefixBase : base;
    if (prefixBase != 0 && radix == prefixBase) {
      digits = digits.substring(digits.startsWith("_", 2) ? 3 : 2);
    }
    digits = asciiDigits(digits, radix);
    boolean ambiguous = base == 0 && prefixBase == 0 && digits != null && digits.startsWith("0") && !digits.replace("0", "").isEmpty();
    if (digits == null || ambiguous) {
      return null;
    }
    if (digits.length() > MAX_DECIMAL_DIGITS) {
      throw new Failure("an integer of " + digits.length() + " digits is too large");
    }
    BigInteger value = new BigInteger(digits, radix);
    return normalize(negative ? value.negate() : value);
  }

  /** Digits of any script as ASCII without their single underscores, or null. */
  private static String asciiDigits(String text, int radix) {
    StringBuilder digits = new StringBuilder();
    boolean underscore = true;
    for (int i = 0; i < text.length(); ) {
      int c = text.codePointAt(i);
      i += Character.charCount(c);
      int digit = c < 128 || Text.isDecimal(c) ? Character.digit(c, radix) : -1;
      if (c == '_' && !underscore) {
        underscore = true;
        continue;
      }
      if (digit < 0) {
        return null;
      }
      underscore = false;
      digits.append(Character.forDigit(digit, radix));
    }
    return underscore ? null : digits.toString();
  }

  /** Python's {@code float(text)}; null if the text is not such a number. */
  static Double parseFloat(String text) {
    StringBuilder ascii = new StringBuilder();
    Text.strip(text, null, true, true).codePoints()
        .forEach(c -> ascii.appendCodePoint(Text.isDecimal(c) ? '0' + Character.digit(c, 10) : c));
    String number = ascii.toString().toLowerCase(Locale.ROOT);
    boolean signed = number.startsWith("-") || number.startsWith("+");
    double sign = number.startsWith("-") ? -1 : 1;
    String magnitude = signed ? number.substring(1) : number;
    if (magnitude.equals("inf") || magnitude.equals("infinity")) {
      return sign * Double.POSITIVE_INFINITY;
    }
    if (magnitude.equals("nan")) {
      return Double.NaN;
    }
    return isDecimalNumber(magnitude) ? sign * Double.parseDouble(magnitude.replace("_", "")) : null;
  }

  private static boolean isDecimalNumber(String text) {
    int whole = digitsEnd(text, 0);
    int end = whole;
    boolean digits = whole > 0;
    if (end < text.length() && text.charAt(end) == '.') {
      int fraction = digitsEnd(text, end + 1);
      digits |= fraction > end + 1;
      end = fraction;
    }
    if (digits && end < text.length() && text.charAt(end) == 'e') {
      int start = end + 1 < text.length() && "+-".indexOf(text.charAt(end + 1)) >= 0 ? end + 2 : end + 1;
      end = digitsEnd(text, start);
      digits = end > start;
    }
    return digits && end == text.length();
  }

  private static int digitsEnd(String text, int start) {
    int i = start;
    while (i < text.length()) {
      char c = text.charAt(i);
      boolean separator = c == '_' && i > start && i + 1 < text.length() && Character.digit(text.charAt(i + 1), 10) >= 0
          && text.charAt(i - 1) != '_';
      if (!separator && (c < '0' || c > '9')) {
        break;
      }
      i++;
    }
    return i;
  }

  /** Three-way comparison of two numbers, exact between int and float; 2 if either is not a number (nan). */
  static int compare(Object a, Object b) {
    if (a instanceof Long x && b instanceof Long y) {
      return Long.compare(x, y);
    }
    if (isInteger(a) && isInteger(b)) {
      return big(a).compareTo(big(b));
    }
    if (a instanceof Double x && b instanceof Double y) {
      return x.isNaN() || y.isNaN() ? 2 : x < y ? -1 : x > y ? 1 : 0;
    }
    double floating = a instanceof Double x ? x : (Double) b;
    if (Double.isNaN(floating)) {
      return 2;
    }
    int sign = a instanceof Double ? 1 : -1;
    if (Double.isInfinite(floating)) {
      return floating > 0 ? sign : -sign;
    }
    return sign * new BigDecimal(floating).compareTo(new BigDecimal(big(sign > 0 ? b : a)));
  }

  /** Python's {@code round(number, digits)}: half to even on the exact value. */
  static Object round(Object number, long digits) {
    if (number instanceof Double value) {
      if (Double.isNaN(value) || Double.isInfinite(value) || digits > 330) {
        return value;
      }
      if (digits < -310) {
        return Math.copySign(0.0, value);
      }
      double rounded = new BigDecimal(value).setScale((int) digits, RoundingMode.HALF_EVEN).doubleValue();
      if (Double.isInfinite(rounded)) {
        throw new Failure("rounded value too large to represent");
      }
      return Math.copySign(rounded, value);
    }
    if (digits >= 0) {
      return number instanceof Boolean ? normalize(big(number)) : number;
    }
    if (digits < -MAX_DECIMAL_DIGITS) {
      return 0L;
    }
    BigDecimal rounded = new BigDecimal(big(number)).setScale((int) digits, RoundingMode.HALF_EVEN);
    return normalize(rounded.toBigInteger());
  }
}
