#include "admin/jobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "admin/forms.h"

namespace landfall::admin {
namespace {

const char* NameOf(Job::State state) {
  switch (state) {
    case Job::State::kRunning:
      return "running";
    case Job::State::kDone:
      return "done";
    case Job::State::kFailed:
      return "failed";
    case Job::State::kCancelled:
      return "cancelled";
  }
  return "";
}

bool Runs(const JobRef& job) { return job->state == Job::State::kRunning; }

}  // namespace

nlohmann::json FormOf(const Job& job) {
  nlohmann::json form = {{"id", std::to_string(job.id)},
                         {"kind", job.kind},
                         {"user", job.user},
                         {"vhost", job.vhost},
                         {"queue", job.queue},
                         {"state", NameOf(job.state)},
                         {"total", job.total},
                         {"scanned", job.scanned},
                         {"moved", job.moved},
                         {"unroutable", job.unroutable},
                         {"unacked", job.unacked},
                         {"error", job.error},
                         {"waits_for", job.waits_for},
                         {"started", MillisecondsOf(job.started)}};
  if (job.state != Job::State::kRunning) form["ended"] = MillisecondsOf(job.ended);
  return form;
}

Result<JobRef> Jobs::Start(std::string kind, std::string user, Time now) {
  const auto running = static_cast<size_t>(std::ranges::count_if(jobs_, Runs));
  const auto of_user = static_cast<size_t>(std::ranges::count_if(
      jobs_, [&](const JobRef& job) { return Runs(job) && job->user == user; }));
  // One user leaves room for others.
  if (running >= kRunning || of_user >= kRunningOfUser) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("{} jobs are running{}, and more at a time are not allowed: wait for "
                            "one, or cancel it",
                            of_user >= kRunningOfUser ? of_user : running,
                            of_user >= kRunningOfUser ? " for this user" : ""));
  }
  if (jobs_.size() >= kKept) jobs_.erase(std::ranges::find_if_not(jobs_, Runs));
  auto job = std::make_shared<Job>();
  job->id = ++last_id_;
  job->kind = std::move(kind);
  job->user = std::move(user);
  job->started = now;
  jobs_.push_back(job);
  return job;
}

JobRef Jobs::Find(uint64_t id) const {
  const auto found = std::ranges::find(jobs_, id, &Job::id);
  return found == jobs_.end() ? nullptr : *found;
}

}  // namespace landfall::admin
