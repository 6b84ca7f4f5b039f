/** Text to token ids and back. */
package dev.lanes.token;
