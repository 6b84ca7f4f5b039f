/** The {@code lanes} command: stdout carries the result alone, everything said about it goes to stderr. */
package dev.lanes.cli;
