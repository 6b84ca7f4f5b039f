package dev.lanes.format;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.lanes.error.InvalidModelException;
import dev.lanes.format.TokenizerConfig.AddedToken;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;

/** Reads tokenizer_config.json and what may lie beside it. */
final class TokenizerConfigReader {
  private static final long MAX_BYTES = 64 << 20;
  private static final long MAX_TEMPLATE_BYTES = 4 << 20;
  private static final int MAX_TOKEN_ID = (1 << 24) - 1;
  private static final String TEMPLATE_SUFFIX = ".jinja";
  private static final Set<String> ROLES =
      Set.of("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token");

  private final Path directory;

  TokenizerConfigReader(Path directory) {
    this.directory = directory;
  }

  TokenizerConfig read() {
    JsonFields fields = fields("tokenizer_config.json");
    Map<String, String> roles = new HashMap<>();
    readRoles(fields, roles);
    if (fields.has("extra_special_tokens") && fields.raw("extra_special_tokens").isObject()) {
      fields.object("extra_special_tokens").ifPresent(extra -> readRoles(extra, roles));
    }
    readRoles(fields("special_tokens_map.json"), roles);
    return new TokenizerConfig(
        fields.text("tokenizer_class"),
        templates(fields),
        roles,
        addedTokens(fields),
        additionalSpecialTokens(fields),
        fields.optionalBool("add_bos_token"),
        fields.optionalBool("add_eos_token"),
        fields.optionalBool("clean_up_tokenization_spaces"),
        modelMaxLength(fields));
  }

  /** A file's fields, or none where there is no such file. */
  private JsonFields fields(String name) {
    Path file = directory.resolve(name);
    ObjectNode node = Files.exists(file) ? Json.readObject(file, MAX_BYTES) : JsonNodeFactory.instance.objectNode();
    return new JsonFields(file, node);
  }

  /** Fields called {@code *_token}: a string, or an object with the string as its content. What is there already is kept. */
  private static void readRoles(JsonFields fields, Map<String, String> roles) {
    for (String name : fields.names()) {
      boolean standard = ROLES.contains(name);
      boolean textual = fields.raw(name).isTextual() || fields.raw(name).isObject() && fields.raw(name).has("content");
      if (fields.has(name) && (standard || name.endsWith("_token") && textual)) {
        roles.putIfAbsent(name, addedToken(fields, name, fields.raw(name)).content());
      }
    }
  }

  private static AddedToken addedToken(JsonFields owner, String field, JsonNode value) {
    if (value.isTextual()) {
      return new AddedToken(value.textValue(), true, false, false, false, false);
    }
    if (!(value instanceof ObjectNode object)) {
      throw owner.invalid(field, "is " + Json.show(value) + ", expected a string or an added token");
    }
    JsonFields token = owner.child(field, object);
    String content = token.text("content").orElseThrow(() -> token.invalid("content", "is missing, expected the token's text"));
    boolean special = token.bool("special", true);
    return new AddedToken(
        content,
        special,
        token.bool("normalized", !special),
        token.bool("lstrip", false),
        token.bool("rstrip", false),
        token.bool("single_word", false));
  }

  private static Map<Integer, AddedToken> addedTokens(JsonFields fields) {
    Map<Integer, AddedToken> tokens = new HashMap<>();
    Optional<JsonFields> decoder = fields.object("added_tokens_decoder");
    if (decoder.isPresent()) {
      for (String key : decoder.get().names()) {
        JsonNode value = decoder.get().raw(key);
        if (!key.matches("[0-9]{1,8}") || Integer.parseInt(key) > MAX_TOKEN_ID) {
          throw decoder.get().invalid(key, "is not a token id, expected 0 to " + MAX_TOKEN_ID);
        }
        AddedToken token = addedToken(decoder.get(), key, value);
        if (!value.isTextual() && !value.has("special")) {
          token = new AddedToken(token.content(), false, token.normalized(), token.lstrip(), token.rstrip(), token.singleWord());
        }
        if (tokens.put(Integer.parseInt(key), token) != null) {
          throw decoder.get().invalid(key, "names token id " + Integer.parseInt(key) + " twice");
        }
      }
    }
    return tokens;
  }

  private static List<AddedToken> additionalSpecialTokens(JsonFields fields) {
    List<AddedToken> tokens = new ArrayList<>();
    for (String field : List.of("additional_special_tokens", "extra_special_tokens")) {
      JsonNode list = fields.raw(field);
      if (list == null || list.isNull() || list.isObject()) {
        continue;
      }
      if (!list.isArray()) {
        throw fields.invalid(field, "is " + Json.show(list) + ", expected a list of tokens");
      }
      for (int i = 0; i < list.size(); i++) {
        tokens.add(addedToken(fields, field + "[" + i + "]", list.get(i)));
      }
    }
    return tokens;
  }

  private static OptionalLong modelMaxLength(JsonFields fields) {
    String field = "model_max_length";
    if (!fields.has(field)) {
      return OptionalLong.empty();
    }
    JsonNode value = fields.raw(field);
    if (!value.isNumber() || !(value.doubleValue() >= 1)) {
      throw fields.invalid(field, "is " + Json.show(value) + ", expected a number of at least 1");
    }
    // transformers writes about 1e30 for "no limit".
    return value.doubleValue() > Integer.MAX_VALUE ? OptionalLong.empty() : OptionalLong.of(value.longValue());
  }

  /** Templates in files of their own replace those in tokenizer_config.json. */
  private Map<String, String> templates(JsonFields fields) {
    Map<String, String> templates = new HashMap<>();
    Path single = directory.resolve("chat_template.jinja");
    Path folder = directory.resolve("additional_chat_templates");
    if (Files.exists(single)) {
      templates.put(TokenizerConfig.DEFAULT_TEMPLATE, Json.readText(single, MAX_TEMPLATE_BYTES));
    }
    if (Files.isDirectory(folder)) {
      readTemplates(folder, templates);
    }
    if (templates.isEmpty() && fields.has("chat_template")) {
      readTemplates(fields, templates);
    }
    return templates;
  }

  private static void readTemplates(Path folder, Map<String, String> templates) {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, "*" + TEMPLATE_SUFFIX)) {
      for (Path file : files) {
        String name = file.getFileName().toString();
        templates.put(name.substring(0, name.length() - TEMPLATE_SUFFIX.length()), Json.readText(file, MAX_TEMPLATE_BYTES));
      }
    } catch (IOException e) {
      throw new InvalidModelException(folder, "", "cannot be read: " + IoFailure.why(e), e);
    }
  }

  private static void readTemplates(JsonFields fields, Map<String, String> templates) {
    String field = "chat_template";
    JsonNode value = fields.raw(field);
    if (value.isTextual()) {
      templates.put(TokenizerConfig.DEFAULT_TEMPLATE, value.textValue());
      return;
    }
    if (!value.isArray()) {
      throw fields.invalid(field, "is " + Json.show(value) + ", expected a template or a list of named templates");
    }
    for (int i = 0; i < value.size(); i++) {
      String item = field + "[" + i + "]";
      if (!(value.get(i) instanceof ObjectNode object)) {
        throw fields.invalid(item, "is " + Json.show(value.get(i)) + ", expected an object with name and template");
      }
      JsonFields named = fields.child(item, object);
      String name = named.text("name").orElseThrow(() -> named.invalid("name", "is missing, expected the template's name"));
      String template = named.text("template").orElseThrow(() -> named.invalid("template", "is missing, expected a template"));
      if (templates.put(name, template) != null) {
        throw named.invalid("name", "\"" + name + "\" names two templates");
      }
    }
  }
}
