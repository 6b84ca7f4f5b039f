package dev.lanes.format;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lanes.format.TokenizerConfig.AddedToken;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenizerConfigTest {
  @TempDir Path directory;

  private TokenizerConfig load(String json) throws IOException {
    Files.writeString(directory.resolve("tokenizer_config.json"), json.replace('\'', '"'));
    return TokenizerConfig.load(directory);
  }

  @Test
  void anEmptyDirectoryGivesAnEmptyConfiguration() {
    TokenizerConfig config = TokenizerConfig.load(directory);
    assertThat(config.chatTemplate()).isEmpty();
    assertThat(config.specialTokens()).isEmpty();
    assertThat(config.tokenizerClass()).isEmpty();
    assertThat(config.modelMaxLength()).isEmpty();
  }

  @Test
  void tokensMayBeStringsOrObjects() throws IOException {
    TokenizerConfig config = load("""
        {'bos_token':'<s>','eos_token':{'content':'</s>','lstrip':false},'pad_token':null,'image_token':'<image>','add_bos_token':true,
         'added_tokens_decoder':{'5':{'content':'<t>','special':false,'lstrip':true},'6':{'content':'<u>','special':true}},
         'additional_special_tokens':['<a>',{'content':'<b>','rstrip':true}]}
        """);
    assertThat(config.specialToken("bos_token")).contains("<s>");
    assertThat(config.specialToken("eos_token")).contains("</s>");
    assertThat(config.specialToken("pad_token")).isEmpty();
    assertThat(config.specialToken("image_token")).contains("<image>");
    assertThat(config.addBosToken()).contains(true);
    assertThat(config.addEosToken()).isEmpty();
    assertThat(config.addedTokens()).containsEntry(5, new AddedToken("<t>", false, true, true, false, false));
    assertThat(config.addedTokens()).containsEntry(6, new AddedToken("<u>", true, false, false, false, false));
    assertThat(config.additionalSpecialTokens()).extracting(AddedToken::content).containsExactly("<a>", "<b>");
  }

  @Test
  void specialTokensMapFillsWhatIsMissing() throws IOException {
    Files.writeString(directory.resolve("special_tokens_map.json"),
        "{\"bos_token\":\"<other>\",\"unk_token\":{\"content\":\"<unk>\"},\"additional_special_tokens\":[\"<x>\"]}");
    TokenizerConfig config = load("{'bos_token':'<s>'}");
    assertThat(config.specialToken("bos_token")).contains("<s>");
    assertThat(config.specialToken("unk_token")).contains("<unk>");
  }

  @Test
  void oneTemplateOrSeveral() throws IOException {
    assertThat(load("{'chat_template':'one'}").chatTemplate()).contains("one");
    TokenizerConfig several = load("{'chat_template':[{'name':'default','template':'d'},{'name':'tool_use','template':'t'}]}");
    assertThat(several.chatTemplate()).contains("d");
    assertThat(several.chatTemplate("tool_use")).contains("t");
    assertThat(several.chatTemplate("rag")).isEmpty();
    assertThat(load("{'chat_template':[{'name':'rag','template':'r'}]}").chatTemplate()).contains("r");
    assertThat(load("{'chat_template':null}").chatTemplate()).isEmpty();
  }

  @Test
  void aTemplateFileComesFirst() throws IOException {
    Files.writeString(directory.resolve("chat_template.jinja"), "from the file\n");
    Files.createDirectory(directory.resolve("additional_chat_templates"));
    Files.writeString(directory.resolve("additional_chat_templates/tool_use.jinja"), "with tools");
    TokenizerConfig config = load("{'chat_template':'from the configuration'}");
    assertThat(config.chatTemplate()).contains("from the file\n");
    assertThat(config.chatTemplate("tool_use")).contains("with tools");
  }

  @Test
  void anEnormousLengthMeansNoLimit() throws IOException {
    assertThat(load("{'model_max_length':1000000000000000019884624838656}").modelMaxLength()).isEmpty();
    assertThat(load("{'model_max_length':1e30}").modelMaxLength()).isEmpty();
    assertThat(load("{'model_max_length':32768}").modelMaxLength()).hasValue(32768);
  }

  @Test
  void sharedFilesAreRead() {
    TokenizerConfig minimind = TokenizerConfig.load(SharedData.require("models/minimind2-small"));
    assertThat(minimind.chatTemplate().orElseThrow()).contains("<|im_start|>");
    assertThat(minimind.specialToken("eos_token")).contains("<|im_end|>");
    assertThat(minimind.addBosToken()).contains(false);
    TokenizerConfig qwen = TokenizerConfig.load(SharedData.require("tokenizers/qwen2_5"));
    assertThat(qwen.addedTokens()).hasSizeGreaterThan(20);
    assertThat(qwen.additionalSpecialTokens()).extracting(AddedToken::content).contains("<|im_start|>");
    TokenizerConfig gpt2 = TokenizerConfig.load(SharedData.require("tokenizers/gpt2"));
    assertThat(gpt2.cleanUpTokenizationSpaces()).contains(true);
    assertThat(gpt2.modelMaxLength()).hasValue(1024);
  }
}
