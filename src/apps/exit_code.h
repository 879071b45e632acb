#pragma once

namespace landfall::apps {

// Exit codes of every command; docs/command-line.md tells them to people.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;       // it was tried, and something failed
inline constexpr int kExitUsage = 2;        // it was not tried
inline constexpr int kExitNotFound = 3;     // what it is about is not there
inline constexpr int kExitRefused = 4;      // unknown login, or not allowed to
inline constexpr int kExitUnreachable = 5;  // nobody answers, or not in time
inline constexpr int kExitUnhealthy = 6;    // the broker answers and something is wrong with it
inline constexpr int kExitCancelled = 7;    // a person said no, or a job was cancelled

}  // namespace landfall::apps
