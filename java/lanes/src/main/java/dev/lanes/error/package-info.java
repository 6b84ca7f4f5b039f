/** The typed failures of Lanes; every other package may see this one. */
package dev.lanes.error;
