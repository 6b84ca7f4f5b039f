/** What happens when a sequence reaches the context length: policies, and the plan and report each of them makes for a prompt. */
package dev.lanes.context;
