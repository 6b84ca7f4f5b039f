package dev.lanes.format;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.lanes.format.TokenizerFile.DecoderStep;
import dev.lanes.format.TokenizerFile.MatchStep;
import java.text.Normalizer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiConsumer;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/** Checks the components of a tokenizer.json: normalizer, pre-tokenizer, post-processor and decoder. */
final class TokenizerComponents {
  private static final int MAX_COUNT = 1 << 20;
  private static final int MAX_TEXT = 256;
  private static final int MAX_PATTERN = 10_000;
  private static final Pattern UNICODE_PROPERTY = Pattern.compile("\\\\([pP])\\{([A-Z][A-Za-z_]{2,})}");

  private final JsonFields root;
  private final Map<String, Integer> ids;
  private final int tokens;
  private final List<DecoderStep> decoders = new ArrayList<>();
  private final List<MatchStep> matches = new ArrayList<>();
  private boolean byteLevelSeen;

  /**
   * @param ids the whole vocabulary
   * @param tokens its size
   */
  TokenizerComponents(JsonFields root, Map<String, Integer> ids, int tokens) {
    this.root = root;
    this.ids = ids;
    this.tokens = tokens;
  }

  void read() {
    each(root, "normalizer", "normalizers", this::normalizer);
    each(root, "pre_tokenizer", "pretokenizers", this::preTokenizer);
    each(root, "post_processor", "processors", this::postProcessor);
    each(root, "decoder", "decoders", this::decoder);
    if (!root.has("decoder")) {
      decoders.add(new DecoderStep.Spaces());
    }
  }

  List<DecoderStep> decoders() {
    return List.copyOf(decoders);
  }

  /** Empty where no regular expression is matched. */
  List<MatchStep> matches() {
    return matches.stream().anyMatch(step -> step instanceof MatchStep.Match) ? List.copyOf(matches) : List.of();
  }

  /** Calls {@code reader} with each component of a field: itself, or the members of sequences of any depth. */
  private static void each(JsonFields owner, String field, String members, BiConsumer<String, JsonFields> reader) {
    owner.object(field).ifPresent(component -> component(component, members, reader));
  }

  private static void component(JsonFields component, String members, BiConsumer<String, JsonFields> reader) {
    String type = component.text("type").orElseThrow(() -> component.invalid("type", "is missing, expected a string"));
    if (!type.equals("Sequence")) {
      reader.accept(type, component);
      return;
    }
    if (!component.has(members) || !component.raw(members).isArray()) {
      throw component.invalid(members, "is missing or no list");
    }
    int i = 0;
    for (JsonNode member : component.elements(members)) {
      String item = members + "[" + i++ + "]";
      if (!(member instanceof ObjectNode object)) {
        throw component.invalid(item, "is " + Json.show(member) + ", expected an object");
      }
      component(component.child(item, object), members, reader);
    }
  }

  private void normalizer(String type, JsonFields fields) {
    switch (type) {
      case "Prepend" -> matches.add(new MatchStep.Prepend(shortText(fields, "prepend")));
      case "Lowercase" -> matches.add(new MatchStep.Lowercase());
      case "NFC", "NFD", "NFKC", "NFKD" -> matches.add(new MatchStep.Normalize(Normalizer.Form.valueOf(type)));
      case "Replace" -> {
        String by = shortText(fields, "content");
        pattern(fields).ifPresentOrElse(
            regex -> matches.add(match(fields, regex, Optional.of(by))),
            () -> matches.add(new MatchStep.Replace(literal(fields), by)));
      }
      case "Precompiled" -> {
        String field = "precompiled_charsmap";
        String map = fields.text(field).orElseThrow(() -> fields.invalid(field, "is missing, expected a string"));
        CharsMap.problem(map).ifPresent(problem -> {
          throw fields.invalid(field, problem);
        });
      }
      case "BertNormalizer", "Strip", "StripAccents", "Nmt" -> { }
      default -> throw fields.unsupported("type", "normalizer \"" + type + "\" is not supported; supported: Sequence, Prepend, Lowercase, "
          + "NFC, NFD, NFKC, NFKD, Replace, BertNormalizer, Strip, StripAccents, Nmt, Precompiled");
    }
  }

  private void preTokenizer(String type, JsonFields fields) {
    switch (type) {
      case "ByteLevel" -> byteLevelSeen = true;
      case "Split" -> pattern(fields).ifPresentOrElse(
          regex -> {
            if (byteLevelSeen) {
              throw fields.unsupported("type", "a Split behind a ByteLevel is not supported");
            }
            matches.add(match(fields, regex, Optional.empty()));
          },
          () -> literal(fields));
      case "Metaspace" -> singleCharacter(fields, "replacement");
      case "BertPreTokenizer", "Whitespace", "WhitespaceSplit", "Punctuation", "Digits", "UnicodeScripts", "CharDelimiterSplit" -> { }
      default -> throw fields.unsupported("type", "pre-tokenizer \"" + type + "\" is not supported; supported: Sequence, ByteLevel, Split, "
          + "Metaspace, BertPreTokenizer, Whitespace, WhitespaceSplit, Punctuation, Digits, UnicodeScripts, CharDelimiterSplit");
    }
  }

  private void postProcessor(String type, JsonFields fields) {
    switch (type) {
      case "ByteLevel" -> { }
      case "BertProcessing", "RobertaProcessing" -> {
        checkMarker(fields, "sep");
        checkMarker(fields, "cls");
      }
      case "TemplateProcessing" -> template(fields);
      default -> throw fields.unsupported("type", "post-processor \"" + type + "\" is not supported; supported: Sequence, ByteLevel, "
          + "BertProcessing, RobertaProcessing, TemplateProcessing");
    }
  }

  private void checkMarker(JsonFields fields, String field) {
    JsonNode marker = fields.raw(field);
    if (marker == null || !marker.isArray() || marker.size() != 2 || !marker.get(0).isTextual()) {
      throw fields.invalid(field, "is " + (marker == null ? "missing" : Json.show(marker)) + ", expected a pair of a token and its id");
    }
    checkId(fields, field + "[1]", marker.get(1));
  }

  private void template(JsonFields fields) {
    JsonFields special =
        fields.object("special_tokens").orElseThrow(() -> fields.invalid("special_tokens", "is missing, expected an object"));
    for (String name : special.names()) {
      JsonFields token = special.object(name).orElseThrow(() -> special.invalid(name, "is null, expected an object"));
      List<JsonNode> list = token.elements("ids");
      if (list.isEmpty() || list.size() != token.elements("tokens").size()) {
        throw token.invalid("ids", "has " + list.size() + " ids, expected one for each of " + token.elements("tokens").size() + " tokens");
      }
      for (int i = 0; i < list.size(); i++) {
        checkId(token, "ids[" + i + "]", list.get(i));
      }
    }
    for (String field : List.of("single", "pair")) {
      int i = 0;
      for (JsonNode piece : fields.elements(field)) {
        checkPiece(fields, field, field + "[" + i++ + "]", piece, special);
      }
    }
  }

  private static void checkPiece(JsonFields fields, String field, String item, JsonNode piece, JsonFields special) {
    JsonNode token = piece.path("SpecialToken").path("id");
    JsonNode sequence = piece.path("Sequence").path("id");
    if (token.isTextual()) {
      if (!special.has(token.textValue())) {
        throw fields.invalid(item, "names \"" + TokenizerFileReader.shorten(token.textValue()) + "\", which special_tokens lacks");
      }
    } else if (!sequence.isTextual() || !sequence.textValue().equals("A") && !(field.equals("pair") && sequence.textValue().equals("B"))) {
      throw fields.invalid(item, "is neither a SpecialToken nor a Sequence of this template");
    }
  }

  private void checkId(JsonFields fields, String item, JsonNode id) {
    if (!id.isIntegralNumber() || !id.canConvertToInt() || id.intValue() < 0 || id.intValue() >= tokens) {
      throw fields.invalid(item, "is " + Json.show(id) + ", expected a token id from 0 to " + (tokens - 1));
    }
  }

  private void decoder(String type, JsonFields fields) {
    switch (type) {
      case "ByteLevel" -> decoders.add(new DecoderStep.ByteLevel());
      case "ByteFallback" -> {
        checkByteTokens();
        decoders.add(new DecoderStep.ByteFallback());
      }
      case "Fuse" -> decoders.add(new DecoderStep.Fuse());
      case "Replace" -> decoders.add(new DecoderStep.Replace(literal(fields), shortText(fields, "content")));
      case "Strip" -> {
        if (fields.integer("stop", 0, 0, MAX_COUNT) != 0) {
          throw fields.unsupported("stop", "is " + fields.raw("stop") + "; only 0 is supported");
        }
        String content = singleCharacter(fields, "content");
        if (content.length() != 1) {
          throw fields.unsupported("content", "is \"" + content + "\"; only characters of the basic plane are supported");
        }
        decoders.add(new DecoderStep.Strip(content.charAt(0), fields.integer("start", 0, 0, MAX_COUNT)));
      }
      case "Metaspace" -> {
        boolean drop = fields.text("prepend_scheme").map(scheme -> !scheme.equals("never")).orElse(fields.bool("add_prefix_space", true));
        decoders.add(new DecoderStep.Metaspace(singleCharacter(fields, "replacement"), drop));
      }
      case "WordPiece" -> decoders.add(new DecoderStep.WordPiece(shortText(fields, "prefix"), fields.bool("cleanup", true)));
      case "BPEDecoder" -> decoders.add(new DecoderStep.WordEnd(nonEmpty(fields, "suffix", shortText(fields, "suffix"))));
      default -> throw fields.unsupported("type", "decoder \"" + type + "\" is not supported; supported: Sequence, ByteLevel, "
          + "ByteFallback, Fuse, Replace, Strip, Metaspace, WordPiece, BPEDecoder");
    }
  }

  private void checkByteTokens() {
    for (String token : ids.keySet()) {
      if (token.length() == 6 && token.startsWith("<0x") && token.endsWith(">") && !token.matches("<0x[0-9A-Fa-f]{2}>")) {
        throw root.invalid("model.vocab." + token, "is no byte, expected <0x00> to <0xFF>: the decoder has ByteFallback");
      }
    }
  }

  /** The regular expression of a {@code pattern} field; empty where it is a plain text. */
  private static Optional<String> pattern(JsonFields fields) {
    JsonFields pattern = fields.object("pattern").orElseThrow(() -> fields.invalid("pattern", "is missing, expected an object"));
    if (!pattern.has("Regex") && !pattern.has("String")) {
      throw fields.invalid("pattern", "has neither String nor Regex");
    }
    return pattern.text("Regex");
  }

  private static String literal(JsonFields fields) {
    if (pattern(fields).isPresent()) {
      throw fields.unsupported("pattern", "is a Regex; only a String is supported in a decoder");
    }
    JsonFields pattern = fields.object("pattern").orElseThrow();
    return nonEmpty(pattern, "String", shortText(pattern, "String"));
  }

  private static String nonEmpty(JsonFields fields, String field, String text) {
    if (text.isEmpty()) {
      throw fields.invalid(field, "is empty");
    }
    return text;
  }

  private static String shortText(JsonFields fields, String field) {
    String text = fields.text(field).orElseThrow(() -> fields.invalid(field, "is missing, expected a string"));
    if (text.length() > MAX_TEXT) {
      throw fields.invalid(field, "has " + text.length() + " characters, expected at most " + MAX_TEXT);
    }
    return text;
  }

  private static String singleCharacter(JsonFields fields, String field) {
    String text = shortText(fields, field);
    if (text.codePointCount(0, text.length()) != 1) {
      throw fields.invalid(field, "is \"" + TokenizerFileReader.shorten(text) + "\", expected one character");
    }
    return text;
  }

  private static MatchStep match(JsonFields fields, String regex, Optional<String> by) {
    if (regex.length() > MAX_PATTERN) {
      throw fields.invalid("pattern", "has " + regex.length() + " characters, expected at most " + MAX_PATTERN);
    }
    // Oniguruma's syntax is close to Java's; the names of scripts are the difference that occurs.
    Pattern pattern = compile(regex)
        .or(() -> compile(UNICODE_PROPERTY.matcher(regex).replaceAll("\\\\$1{Is$2}")))
        .orElseThrow(() -> fields.unsupported(
            "pattern", "\"" + TokenizerFileReader.shorten(regex) + "\" is no regular expression that Lanes knows"));
    return new MatchStep.Match(fields.path("pattern"), pattern, by);
  }

  private static Optional<Pattern> compile(String regex) {
    try {
      return Optional.of(Pattern.compile(regex, Pattern.UNICODE_CHARACTER_CLASS | Pattern.UNICODE_CASE));
    } catch (PatternSyntaxException | StackOverflowError e) {
      return Optional.empty();
    }
  }
}
