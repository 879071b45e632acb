#include "storage/step_store.h"

namespace landfall::storage {

bool StepStore::StepBackground(Lane lane) {
  auto task = core_.TakeTask(lane);
  if (!task) return false;
  task->Run(vfs_);
  core_.Finish(std::move(task));
  return true;
}

void StepStore::StepAll() {
  while (true) {
    const CommitStep step = core_.Step(/*sync_lazy=*/true);
    const bool background = StepBackground();
    if (background || step == CommitStep::kWrite || step == CommitStep::kSync ||
        step == CommitStep::kStartSegment) {
      continue;
    }
    return;
  }
}

void StepStore::Stop() {
  StepAll();
  // With a task that never came, the store is dead and Seal does nothing.
  core_.Seal();
}

}  // namespace landfall::storage
