#include "crashtest/book.h"

#include <algorithm>

namespace landfall::crashtest {

Verdict& Verdict::operator+=(const Verdict& other) {
  published += other.published;
  confirmed += other.confirmed;
  acked += other.acked;
  recovered += other.recovered;
  returned += other.returned;
  oldest_returned = std::max(oldest_returned, other.oldest_returned);
  duplicates += other.duplicates;
  lost += other.lost;
  vanished += other.vanished;
  invented += other.invented;
  disordered += other.disordered;
  return *this;
}

void QueueBook::Note(const PublishLog& published, const ConsumeLog& consumed,
                     std::chrono::steady_clock::time_point cut) {
  cut_ = cut;
  notes_.resize(notes_.size() + published.published, 0);
  pending_.published += published.published;
  for (const uint64_t number : published.confirmed) {
    notes_[number] |= kConfirmed;
    ++pending_.confirmed;
  }
  pending_.disordered += Disorder(consumed.receipts);
  for (const Receipt& receipt : consumed.receipts) {
    if (Known(receipt.number)) {
      notes_[receipt.number] |= kDelivered;
    } else {
      ++pending_.invented;
    }
  }
  for (const Acked& ack : consumed.acked) {
    if (!Known(ack.number) || (notes_[ack.number] & kSettled)) continue;
    notes_[ack.number] |= kSettled;
    acked_.push_back(ack);
    ++pending_.acked;
  }
}

std::vector<uint64_t> QueueBook::Due() const {
  std::vector<uint64_t> due;
  for (uint64_t number = first_; number < notes_.size(); ++number) {
    if ((notes_[number] & kConfirmed) && !(notes_[number] & kSettled)) due.push_back(number);
  }
  return due;
}

uint64_t QueueBook::Disorder(const std::vector<Receipt>& receipts) const {
  uint64_t disordered = 0;
  uint64_t latest = 0;
  for (const Receipt& receipt : receipts) {
    // What has been delivered before comes back to whatever place the broker likes.
    if (!Known(receipt.number) || receipt.redelivered || (notes_[receipt.number] & kDelivered)) {
      continue;
    }
    if (receipt.number < latest) ++disordered;
    latest = std::max(latest, receipt.number);
  }
  return disordered;
}

Verdict QueueBook::Judge(const ConsumeLog& drained) {
  Verdict verdict = pending_;
  verdict.disordered += Disorder(drained.receipts);
  std::vector<bool> there(notes_.size());
  for (const auto& [number, redelivered] : drained.receipts) {
    if (!Known(number)) {
      ++verdict.invented;
    } else if (there[number]) {
      ++verdict.duplicates;
    } else {
      there[number] = true;
      ++(notes_[number] & kSettled ? verdict.returned : verdict.recovered);
    }
  }
  for (const Acked& ack : acked_) {
    if (!there[ack.number]) continue;
    const std::chrono::duration<double> age = cut_ - ack.at;
    verdict.oldest_returned = std::max(verdict.oldest_returned, age.count());
  }
  for (uint64_t number = first_; number < notes_.size(); ++number) {
    const uint8_t note = notes_[number];
    if (!there[number] && !(note & kSettled)) {
      if (note & kConfirmed) {
        ++verdict.lost;
      } else if (note & kDelivered) {
        ++verdict.vanished;
      }
    }
    notes_[number] = kConfirmed | kDelivered | kSettled;
  }
  first_ = notes_.size();
  acked_.clear();
  pending_ = {};
  return verdict;
}

}  // namespace landfall::crashtest
