#include "admin/jobs.h"

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

JobRef Jobs::Start(std::string kind, Time now) {
  if (static_cast<size_t>(std::ranges::count_if(jobs_, Runs)) >= kRunning) return nullptr;
  if (jobs_.size() >= kKept) jobs_.erase(std::ranges::find_if_not(jobs_, Runs));
  auto job = std::make_shared<Job>();
  job->id = ++last_id_;
  job->kind = std::move(kind);
  job->started = now;
  jobs_.push_back(job);
  return job;
}

JobRef Jobs::Find(uint64_t id) const {
  const auto found = std::ranges::find(jobs_, id, &Job::id);
  return found == jobs_.end() ? nullptr : *found;
}

}  // namespace landfall::admin
