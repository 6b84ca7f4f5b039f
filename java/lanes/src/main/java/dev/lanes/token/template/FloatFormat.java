package dev.lanes.token.template;

import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.Locale;

/** Digits of floats in the presentation types e, f, g and % that {@code format()} and the % operator share. */
final class FloatFormat {
  private static final int DEFAULT_PRECISION = 6;
  private static final int MAX_PRECISION = 10_000;

  private FloatFormat() {}

  /**
   * The digits of a magnitude.
   *
   * @param type e E f F g G %, or 0: like g, but never without a digit behind the point
   * @param precision -1 for the default
   * @param alternate keep the point and trailing zeros
   */
  static String digits(double magnitude, char type, long precision, boolean alternate) {
    if (precision > MAX_PRECISION) {
      throw new Failure("a precision of " + precision + " digits is too large");
    }
    if (Double.isNaN(magnitude) || Double.isInfinite(magnitude)) {
      String name = (Double.isNaN(magnitude) ? "nan" : "inf") + (type == '%' ? "%" : "");
      return Character.isUpperCase(type) ? name.toUpperCase(Locale.ROOT) : name;
    }
    if (type == 0 && precision < 0) {
      String text = Numbers.repr(magnitude);
      return alternate && text.indexOf('.') < 0 ? text.replace("e", ".e") : text;
    }
    int digits = precision < 0 ? DEFAULT_PRECISION : (int) precision;
    String text = switch (Character.toLowerCase(type)) {
      case 'f' -> fixed(new BigDecimal(magnitude), digits, alternate);
      case 'e' -> scientific(new BigDecimal(magnitude), digits, alternate);
      case '%' -> fixed(new BigDecimal(percent(magnitude)), digits, alternate) + "%";
      default -> general(new BigDecimal(magnitude), Math.max(1, digits), alternate, type == 0);
    };
    return Character.isUpperCase(type) ? text.toUpperCase(Locale.ROOT) : text;
  }

  private static double percent(double magnitude) {
    double percent = magnitude * 100;
    if (Double.isInfinite(percent)) {
      throw new Failure("a percentage that is too large for a float");
    }
    return percent;
  }

  private static String fixed(BigDecimal value, int decimals, boolean alternate) {
    String text = value.setScale(decimals, RoundingMode.HALF_EVEN).toPlainString();
    return alternate && decimals == 0 ? text + "." : text;
  }

  private static String scientific(BigDecimal value, int decimals, boolean alternate) {
    BigDecimal rounded = value.round(new MathContext(decimals + 1, RoundingMode.HALF_EVEN));
    int exponent = exponent(rounded);
    StringBuilder digits = new StringBuilder(rounded.unscaledValue().toString());
    while (digits.length() < decimals + 1) {
      digits.append('0');
    }
    String mantissa = digits.charAt(0) + (decimals > 0 || alternate ? "." : "") + digits.substring(1, decimals + 1);
    return mantissa + (exponent < 0 ? "e-" : "e+") + (Math.abs(exponent) < 10 ? "0" : "") + Math.abs(exponent);
  }

  private static int exponent(BigDecimal value) {
    return value.signum() == 0 ? 0 : value.precision() - value.scale() - 1;
  }

  private static String general(BigDecimal value, int precision, boolean alternate, boolean pointZero) {
    BigDecimal rounded = value.round(new MathContext(precision, RoundingMode.HALF_EVEN));
    int exponent = exponent(rounded);
    if (exponent >= -4 && exponent < precision - (pointZero ? 1 : 0)) {
      String text = fixed(value, precision - 1 - exponent, alternate);
      text = alternate ? text : trimmed(text);
      return pointZero && text.indexOf('.') < 0 ? text + ".0" : text;
    }
    String text = scientific(value, precision - 1, alternate);
    int e = text.indexOf('e');
    return alternate ? text : trimmed(text.substring(0, e)) + text.substring(e);
  }

  private static String trimmed(String digits) {
    if (digits.indexOf('.') < 0) {
      return digits;
    }
    int end = digits.length();
    while (digits.charAt(end - 1) == '0') {
      end--;
    }
    return digits.substring(0, digits.charAt(end - 1) == '.' ? end - 1 : end);
  }
}
