package dev.lanes.token.template;

import java.time.Clock;
import java.time.LocalDateTime;
import java.time.format.TextStyle;
import java.time.temporal.ChronoField;
import java.time.temporal.IsoFields;
import java.util.Locale;

/** Python's {@code datetime.now().strftime(format)} in the C locale, with the flags {@code - _ 0 ^ #} of glibc. */
final class Strftime {
  private Strftime() {}

  static String format(String format, Clock clock) {
    return format(format, LocalDateTime.now(clock));
  }

  private static String format(String format, LocalDateTime now) {
    StringBuilder out = new StringBuilder();
    for (int i = 0; i < format.length(); i++) {
      char c = format.charAt(i);
      if (c != '%') {
        out.append(c);
        continue;
      }
      char flag = 0;
      i++;
      while (i < format.length() && "-_0^#".indexOf(format.charAt(i)) >= 0) {
        flag = format.charAt(i++);
      }
      if (i >= format.length()) {
        throw Failure.unsupported("a '%' at the end of a date format");
      }
      out.append(directive(format.charAt(i), flag, now));
    }
    return out.toString();
  }

  private static String directive(char directive, char flag, LocalDateTime now) {
    return switch (directive) {
      case '%' -> "%";
      case 'n' -> "\n";
      case 't' -> "\t";
      case 'a' -> text(now.getDayOfWeek().getDisplayName(TextStyle.SHORT, Locale.ENGLISH), flag);
      case 'A' -> text(now.getDayOfWeek().getDisplayName(TextStyle.FULL, Locale.ENGLISH), flag);
      case 'b', 'h' -> text(now.getMonth().getDisplayName(TextStyle.FULL, Locale.ENGLISH).substring(0, 3), flag);
      case 'B' -> text(now.getMonth().getDisplayName(TextStyle.FULL, Locale.ENGLISH), flag);
      case 'p' -> flag == '#' ? half(now).toLowerCase(Locale.ROOT) : half(now);
      case 'P' -> half(now).toLowerCase(Locale.ROOT);
      case 'Y' -> number(now.getYear(), 1, flag);
      case 'C' -> number(now.getYear() / 100, 2, flag);
      case 'y' -> number(now.getYear() % 100, 2, flag);
      case 'm' -> number(now.getMonthValue(), 2, flag);
      case 'd' -> number(now.getDayOfMonth(), 2, flag);
      case 'e' -> number(now.getDayOfMonth(), 2, flag == 0 ? '_' : flag);
      case 'j' -> number(now.getDayOfYear(), 3, flag);
      case 'H' -> number(now.getHour(), 2, flag);
      case 'k' -> number(now.getHour(), 2, flag == 0 ? '_' : flag);
      case 'I' -> number(now.get(ChronoField.CLOCK_HOUR_OF_AMPM), 2, flag);
      case 'l' -> number(now.get(ChronoField.CLOCK_HOUR_OF_AMPM), 2, flag == 0 ? '_' : flag);
      case 'M' -> number(now.getMinute(), 2, flag);
      case 'S' -> number(now.getSecond(), 2, flag);
      case 'f' -> number(now.getNano() / 1000, 6, (char) 0);
      case 'u' -> number(now.getDayOfWeek().getValue(), 1, flag);
      case 'w' -> number(now.getDayOfWeek().getValue() % 7, 1, flag);
      case 'U' -> number((now.getDayOfYear() + 6 - now.getDayOfWeek().getValue() % 7) / 7, 2, flag);
      case 'W' -> number((now.getDayOfYear() + 6 - (now.getDayOfWeek().getValue() - 1)) / 7, 2, flag);
      case 'V' -> number(now.get(IsoFields.WEEK_OF_WEEK_BASED_YEAR), 2, flag);
      case 'G' -> number(now.get(IsoFields.WEEK_BASED_YEAR), 1, flag);
      case 'g' -> number(now.get(IsoFields.WEEK_BASED_YEAR) % 100, 2, flag);
      // A date without a time zone has neither an offset nor a name of one.
      case 'z', 'Z' -> "";
      case 'D', 'x' -> format("%m/%d/%y", now);
      case 'F' -> format("%Y-%m-%d", now);
      case 'R' -> format("%H:%M", now);
      case 'T', 'X' -> format("%H:%M:%S", now);
      case 'r' -> format("%I:%M:%S %p", now);
      case 'c' -> format("%a %b %e %H:%M:%S %Y", now);
      default -> throw Failure.unsupported("%" + directive + " in a date format");
    };
  }

  private static String half(LocalDateTime now) {
    return now.getHour() < 12 ? "AM" : "PM";
  }

  private static String text(String name, char flag) {
    return flag == '^' || flag == '#' ? name.toUpperCase(Locale.ROOT) : name;
  }

  private static String number(int value, int width, char flag) {
    String digits = Integer.toString(value);
    String fill = flag == '_' ? " " : "0";
    return flag == '-' ? digits : fill.repeat(Math.max(0, width - digits.length())) + digits;
  }
}
