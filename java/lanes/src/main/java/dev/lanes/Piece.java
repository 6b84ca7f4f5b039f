package dev.lanes;

import java.util.Optional;

/**
 * One token of a stream.
 *
 * @param text what became final with this token: whole characters, often a word; empty while a character is incomplete, while the text
 *     may yet become a stop string, or where the model has no tokenizer. All pieces together are the text of the generation
 * @param tokenId the token
 * @param logProbability where {@link GenerationOptions#logProbabilities()} asks for it
 */
public record Piece(String text, int tokenId, Optional<TokenLogProbability> logProbability) {}
