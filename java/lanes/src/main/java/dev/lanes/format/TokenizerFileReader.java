package dev.lanes.format;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.lanes.error.InvalidModelException;
import dev.lanes.format.TokenizerConfig.AddedToken;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/** Reads and checks tokenizer.json: its vocabulary and added tokens here, its components through {@link TokenizerComponents}. */
final class TokenizerFileReader {
  private static final long MAX_BYTES = 128 << 20;
  private static final int MAX_TOKENS = 1 << 24;
  private static final String BYTE_TOKEN = "<0x[0-9A-F]{2}>";

  private final Path file;
  private final TokenizerConfig config;
  private final String text;
  private final ObjectNode root;
  private final JsonFields fields;
  private final Map<String, Integer> ids = new HashMap<>();

  TokenizerFileReader(Path file, TokenizerConfig config) {
    this.file = file;
    this.config = config;
    this.text = Json.readText(file, MAX_BYTES);
    if (!(Json.parse(file, text) instanceof ObjectNode object)) {
      throw new InvalidModelException(file, "", "is not a JSON object");
    }
    this.root = object;
    this.fields = new JsonFields(file, object);
  }

  TokenizerFile read() {
    JsonFields model = fields.object("model").orElseThrow(() -> fields.invalid("model", "is missing, expected an object"));
    String type = modelType(model);
    readVocabulary(model, type);
    checkModel(model, type);
    int modelTokens = ids.size();
    Map<Integer, AddedToken> added = addedTokens(modelTokens);
    List<String> tokens = tokensById();
    TokenizerComponents components = new TokenizerComponents(fields, ids, tokens.size());
    components.read();
    Set<Integer> special = new HashSet<>();
    added.forEach((id, token) -> {
      if (token.special()) {
        special.add(id);
      }
    });
    boolean merged = mergeAddedTokens(added);
    return new TokenizerFile(
        file,
        merged ? root.toString() : text,
        tokens,
        Collections.unmodifiableMap(ids),
        Set.copyOf(special),
        components.decoders(),
        components.matches());
  }

  /** Files of before 2021 do not name the type: it shows in the fields. */
  private static String modelType(JsonFields model) {
    Optional<String> named = model.text("type");
    if (named.isPresent()) {
      return named.get();
    }
    if (model.has("merges")) {
      return "BPE";
    }
    if (model.has("vocab") && model.raw("vocab").isArray()) {
      return "Unigram";
    }
    return model.has("continuing_subword_prefix") ? "WordPiece" : "WordLevel";
  }

  private void readVocabulary(JsonFields model, String type) {
    JsonNode vocabulary = model.raw("vocab");
    boolean list = type.equals("Unigram");
    if (!List.of("BPE", "WordPiece", "WordLevel", "Unigram").contains(type)) {
      throw model.unsupported("type", "\"" + type + "\" is not supported; supported: BPE, WordPiece, WordLevel, Unigram");
    }
    if (vocabulary == null || !(list ? vocabulary.isArray() : vocabulary.isObject())) {
      String found = vocabulary == null ? "missing" : Json.show(vocabulary);
      throw model.invalid("vocab", "is " + found + ", expected " + (list ? "a list of pieces" : "an object of tokens and ids"));
    }
    if (vocabulary.size() > MAX_TOKENS) {
      throw model.invalid("vocab", "has " + vocabulary.size() + " tokens, expected at most " + MAX_TOKENS);
    }
    if (list) {
      readPieces(model, vocabulary);
      return;
    }
    for (Map.Entry<String, JsonNode> entry : vocabulary.properties()) {
      JsonNode id = entry.getValue();
      if (!id.isIntegralNumber() || !id.canConvertToInt() || id.intValue() < 0 || id.intValue() >= MAX_TOKENS) {
        throw model.invalid("vocab." + shorten(entry.getKey()), "is " + Json.show(id) + ", expected an id from 0 to " + (MAX_TOKENS - 1));
      }
      checkText("model.vocab", entry.getKey());
      ids.put(entry.getKey(), id.intValue());
    }
  }

  private void readPieces(JsonFields model, JsonNode vocabulary) {
    for (int i = 0; i < vocabulary.size(); i++) {
      JsonNode piece = vocabulary.get(i);
      boolean pair = piece.isArray() && piece.size() == 2 && piece.get(0).isTextual() && piece.get(1).isNumber();
      if (!pair || piece.get(0).textValue().isEmpty() || !Double.isFinite(piece.get(1).doubleValue())) {
        throw model.invalid("vocab[" + i + "]", "is " + Json.show(piece) + ", expected a pair of a non-empty piece and its score");
      }
      checkText("model.vocab[" + i + "]", piece.get(0).textValue());
      if (ids.put(piece.get(0).textValue(), i) != null) {
        throw model.invalid("vocab[" + i + "]", "\"" + shorten(piece.get(0).textValue()) + "\" appears twice");
      }
    }
  }

  private void checkModel(JsonFields model, String type) {
    if (ids.isEmpty()) {
      throw model.invalid("vocab", "is empty");
    }
    switch (type) {
      case "BPE" -> checkBpe(model);
      case "WordPiece", "WordLevel" -> {
        String unknown = model.text("unk_token").orElseThrow(() -> model.invalid("unk_token", "is missing, expected a token"));
        if (!ids.containsKey(unknown)) {
          throw model.invalid("unk_token", "is \"" + shorten(unknown) + "\", which is not in the vocabulary");
        }
        model.optionalInteger("max_input_chars_per_word", 1, Integer.MAX_VALUE);
      }
      default -> model.optionalInteger("unk_id", 0, ids.size() - 1);
    }
    if (model.bool("byte_fallback", false)) {
      for (String token : ids.keySet()) {
        if (token.startsWith("<0x") && token.endsWith(">") && !token.matches(BYTE_TOKEN)) {
          throw model.invalid("vocab." + shorten(token), "is no byte, expected <0x00> to <0xFF>: the model has byte_fallback");
        }
      }
    }
  }

  private void checkBpe(JsonFields model) {
    String prefix = model.text("continuing_subword_prefix").orElse("");
    if (!prefix.chars().allMatch(c -> c < 128)) {
      throw model.unsupported("continuing_subword_prefix", "is \"" + shorten(prefix) + "\"; only ASCII is supported");
    }
    JsonNode merges = model.raw("merges");
    if (merges == null || !merges.isArray()) {
      throw model.invalid("merges", "is " + (merges == null ? "missing" : Json.show(merges)) + ", expected a list of pairs");
    }
    for (int i = 0; i < merges.size(); i++) {
      String[] pair = pair(merges.get(i));
      if (pair == null) {
        throw model.invalid("merges[" + i + "]", "is " + Json.show(merges.get(i)) + ", expected a pair of tokens");
      }
      if (!pair[1].startsWith(prefix)) {
        throw model.invalid("merges[" + i + "]", "does not continue with continuing_subword_prefix \"" + shorten(prefix) + "\"");
      }
      String joined = pair[0] + pair[1].substring(prefix.length());
      for (String token : List.of(pair[0], pair[1], joined)) {
        if (!ids.containsKey(token)) {
          throw model.invalid("merges[" + i + "]", "needs the token \"" + shorten(token) + "\", which is not in the vocabulary");
        }
      }
    }
  }

  private static String[] pair(JsonNode merge) {
    if (merge.isArray()) {
      boolean pair = merge.size() == 2 && merge.get(0).isTextual() && merge.get(1).isTextual();
      return pair ? new String[] {merge.get(0).textValue(), merge.get(1).textValue()} : null;
    }
    String text = merge.isTextual() ? merge.textValue() : "";
    int space = text.indexOf(' ');
    return space < 0 || text.indexOf(' ', space + 1) >= 0
        ? null : new String[] {text.substring(0, space), text.substring(space + 1)};
  }

  /** Added tokens by id: those of the file, overridden and extended by tokenizer_config.json as transformers does it. */
  private Map<Integer, AddedToken> addedTokens(int modelTokens) {
    Map<Integer, AddedToken> added = new TreeMap<>();
    JsonNode list = fields.raw("added_tokens");
    if (list != null && !list.isNull() && !list.isArray()) {
      throw fields.invalid("added_tokens", "is " + Json.show(list) + ", expected a list");
    }
    for (int i = 0; list != null && i < list.size(); i++) {
      String item = "added_tokens[" + i + "]";
      if (!(list.get(i) instanceof ObjectNode object)) {
        throw fields.invalid(item, "is " + Json.show(list.get(i)) + ", expected an object");
      }
      JsonFields token = fields.child(item, object);
      int id = token.optionalInteger("id", 0, MAX_TOKENS - 1).orElseThrow(() -> token.invalid("id", "is missing, expected a token id"));
      String content = token.text("content").orElseThrow(() -> token.invalid("content", "is missing, expected the token's text"));
      AddedToken read =
          new AddedToken(
              content,
              token.bool("special", false),
              token.bool("normalized", true),
              token.bool("lstrip", false),
              token.bool("rstrip", false),
              token.bool("single_word", false));
      if (added.put(id, read) != null) {
        throw token.invalid("id", "is " + id + ", which another added token has");
      }
      register(item, id, content, modelTokens);
    }
    config.addedTokens().entrySet().stream().sorted(Map.Entry.comparingByKey()).forEach(entry -> {
      Integer known = ids.get(entry.getValue().content());
      // A configuration may name tokens of a larger vocabulary than the file has: the file's ids count.
      if (known == null && entry.getKey() == ids.size()) {
        checkText("added_tokens_decoder." + entry.getKey(), entry.getValue().content());
        ids.put(entry.getValue().content(), entry.getKey());
        added.put(entry.getKey(), entry.getValue());
      } else if (entry.getKey().equals(known)) {
        added.put(entry.getKey(), entry.getValue());
      }
    });
    specialTokens().forEach((content, token) -> {
      Integer id = ids.get(content);
      if (id != null) {
        added.putIfAbsent(id, token);
      }
    });
    return added;
  }

  /** Tokens with a role count as added and special even where the file has them as ordinary entries of its vocabulary. */
  private Map<String, AddedToken> specialTokens() {
    Map<String, AddedToken> special = new TreeMap<>();
    config.additionalSpecialTokens().forEach(token -> special.put(token.content(), token));
    config.specialTokens().values().forEach(
        content -> special.putIfAbsent(content, new AddedToken(content, true, false, false, false, false)));
    special.remove("");
    return special;
  }

  /** The native tokenizer numbers tokens that its vocabulary lacks by itself, one after the other. */
  private void register(String item, int id, String content, int modelTokens) {
    checkText(item + ".content", content);
    if (content.isEmpty()) {
      throw fields.invalid(item + ".content", "is empty");
    }
    Integer known = ids.putIfAbsent(content, id);
    if (known != null && known != id) {
      throw fields.invalid(item + ".id", "is " + id + ", but \"" + shorten(content) + "\" has the id " + known);
    }
    if (known == null && id != ids.size() - 1) {
      throw fields.invalid(
          item + ".id", "is " + id + ", expected " + (ids.size() - 1) + ": the ids of added tokens follow those of the "
              + modelTokens + " tokens of the vocabulary without gap");
    }
  }

  private List<String> tokensById() {
    String[] tokens = new String[ids.size()];
    ids.forEach((token, id) -> {
      if (id >= tokens.length) {
        throw fields.invalid("model.vocab." + shorten(token), "has the id " + id + ", but there are only " + tokens.length
            + " tokens: ids must be 0 to " + (tokens.length - 1) + " without gap");
      }
      if (tokens[id] != null) {
        throw fields.invalid(
            "model.vocab." + shorten(token), "has the id " + id + ", which \"" + shorten(tokens[id]) + "\" has too");
      }
      tokens[id] = token;
    });
    return Arrays.asList(tokens);
  }

  /** Writes the added tokens back where tokenizer_config.json changed them; false when nothing changed. */
  private boolean mergeAddedTokens(Map<Integer, AddedToken> added) {
    ArrayNode list = root.arrayNode();
    added.forEach((id, token) -> list.addObject()
        .put("id", id)
        .put("content", token.content())
        .put("single_word", token.singleWord())
        .put("lstrip", token.lstrip())
        .put("rstrip", token.rstrip())
        .put("normalized", token.normalized())
        .put("special", token.special()));
    List<JsonNode> before = new ArrayList<>();
    fields.elements("added_tokens").forEach(before::add);
    List<JsonNode> after = new ArrayList<>();
    list.forEach(after::add);
    if (Set.copyOf(before).equals(Set.copyOf(after))) {
      return false;
    }
    root.set("added_tokens", list);
    return true;
  }

  private void checkText(String item, String value) {
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      if (Character.isHighSurrogate(c) && i + 1 < value.length() && Character.isLowSurrogate(value.charAt(i + 1))) {
        i++;
      } else if (Character.isSurrogate(c)) {
        throw fields.invalid(item, String.format("has a token with the lone surrogate U+%04X", (int) c));
      }
    }
  }

  static String shorten(String value) {
    return value.length() > 80 ? value.substring(0, 77) + "..." : value;
  }
}
