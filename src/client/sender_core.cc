#include "client/sender_core.h"

#include <algorithm>
#include <utility>

#include "amqp/method.h"
#include "amqp/properties.h"
#include "base/assert.h"
#include "client/retry_schedule.h"

namespace landfall::client {
namespace {

// Timers are looked at this many times while the first resend is waited for. A scan costs a walk
// over what is unconfirmed.
constexpr int kScansPerResend = 64;

std::string AfterAttempts(uint32_t attempts) {
  return "after " + std::to_string(attempts) + (attempts == 1 ? " attempt" : " attempts");
}

}  // namespace

SenderCore::SenderCore(SenderCoreOptions options, LinkOptions link, uint64_t seed, Time now)
    : options_(std::move(options)),
      rng_(seed),
      encoder_(options_.producer, options_.epoch),
      next_sequence_(options_.first_sequence),
      link_(std::move(link), *this, rng_.Next(), now) {}

SenderCore::~SenderCore() = default;

// --- Messages in -------------------------------------------------------------------------------

std::optional<std::string> SenderCore::Admit(const Submission& submission, uint64_t& sequence) {
  const MessageOptions* options = submission.options.get();
  if (options != nullptr) {
    if (auto wrong = WhatIsWrong(*options)) return wrong;
  }
  const bool own = options != nullptr && options->sequence.has_value();
  if (own && !options_.stable_producer) {
    return "a message with its own sequence needs SenderOptions::producer, the name it is unique "
           "under";
  }
  if (own_sequences_.value_or(own) != own) {
    return "either all messages of a Sender have a sequence of their own, or none";
  }
  if (own && own_in_flight_.contains(*options->sequence)) {
    return "a message with sequence " + std::to_string(*options->sequence) +
           " is on its way already";
  }
  own_sequences_ = own;
  sequence = own ? *options->sequence : next_sequence_++;
  if (own) own_in_flight_.insert(sequence);
  return std::nullopt;
}

void SenderCore::Submit(Submission submission, Time now) {
  uint64_t sequence = 0;
  auto wrong = Admit(submission, sequence);
  const uint32_t index = Insert(std::move(submission), sequence, now);
  if (wrong) return Settle(index, SendStatus::kFailed, SendFailure::kInvalid, std::move(*wrong));
  if (!fenced_.empty()) Settle(index, SendStatus::kFailed, SendFailure::kFenced, fenced_);
}

uint32_t SenderCore::Insert(Submission submission, uint64_t sequence, Time now) {
  uint32_t index = 0;
  if (free_.empty()) {
    index = static_cast<uint32_t>(entries_.size());
    entries_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  Entry& entry = entries_[index];
  entry.cost = CostOf(submission);
  entry.body = std::move(submission.body);
  entry.options = std::move(submission.options);
  entry.callback = std::move(submission.callback);
  entry.ordinal = next_ordinal_++;
  entry.sequence = sequence;
  entry.due = now + DelayOf(options_.resend, 1, rng_);
  entry.published_here = 0;
  entry.attempts = 0;
  entry.periods = 0;
  entry.returned = false;
  entry.previous = tail_;
  entry.next = kNone;
  (tail_ == kNone ? head_ : entries_[tail_].next) = index;
  tail_ = index;
  if (cursor_ == kNone) cursor_ = index;
  ++unsettled_;
  scan_at_ = std::min(scan_at_, entry.due);
  return index;
}

void SenderCore::SetLowestSequence(uint64_t sequence) {
  own_lowest_ = std::max(own_lowest_, sequence);
}

// Below this number everything is settled, and nothing will be sent any more.
uint64_t SenderCore::Lowest() const {
  if (own_sequences_.value_or(false)) {
    return own_in_flight_.empty() ? own_lowest_ : std::min(own_lowest_, *own_in_flight_.begin());
  }
  return head_ == kNone ? next_sequence_ : entries_[head_].sequence;
}

// --- Messages out ------------------------------------------------------------------------------

bool SenderCore::MayPublish() const {
  return channel_ready_ && !blocked_ && fenced_.empty() && !link_.connection()->closing() &&
         link_.connection()->output().size() < options_.max_output_bytes;
}

void SenderCore::Advance(Time now) {
  while (cursor_ != kNone && MayPublish()) {
    if (entries_[cursor_].ordinal < careful_below_ && open_tags_ > 0) return;
    const uint32_t index = cursor_;
    cursor_ = entries_[index].next;
    Publish(index, now);
  }
}

void SenderCore::Publish(uint32_t index, Time now) {
  Entry& entry = entries_[index];
  ClientConnection& connection = *link_.connection();
  const MessageOptions* options = entry.options.get();
  const ByteView properties = encoder_.Encode(options, entry.sequence, Lowest());
  const uint32_t frame_max = connection.frame_max();
  if (frame_max != 0 &&
      properties.size() + amqp::kContentHeaderFixedSize + amqp::kFrameOverhead > frame_max) {
    return Settle(
        index, SendStatus::kFailed, SendFailure::kInvalid,
        "its headers and properties do not fit a frame of " + std::to_string(frame_max) + " bytes");
  }
  const bool own_exchange = options != nullptr && options->exchange.has_value();
  const bool own_key = options != nullptr && options->routing_key.has_value();
  amqp::AppendPublish(connection.output(), ClientConnection::kChannel,
                      own_exchange ? *options->exchange : options_.exchange,
                      own_key ? *options->routing_key : options_.routing_key, /*mandatory=*/true,
                      properties, entry.body, frame_max);
  if (!PublishedHere(entry)) {
    entry.link_number = link_number_;
    entry.published_here = 0;
    entry.first_published = now;
    entry.returned = false;
  }
  ++entry.published_here;
  ++entry.attempts;
  tags_.push_back({index, entry.generation});
  ++open_tags_;
  // A tag that was never confirmed while very many later ones were: its message has been sent again
  // under another. Forgetting it bounds the memory.
  while (tags_.size() > 4 * options_.max_messages + 1024) {
    if (tags_.front().entry != kNone) --open_tags_;
    tags_.pop_front();
    ++first_tag_;
  }
}

void SenderCore::ForgetChannel() {
  channel_ready_ = false;
  blocked_ = false;
  tags_.clear();
  first_tag_ = 1;
  open_tags_ = 0;
  cursor_ = head_;
  ++link_number_;
}

// --- What the broker says ----------------------------------------------------------------------

void SenderCore::OnChannelOpen(Time) {
  ClientConnection& connection = *link_.connection();
  if (options_.declare) {
    const ByteBuffer arguments = ToTable(options_.declare->arguments).Encode();
    connection.Send(amqp::QueueDeclare{.queue = options_.declare->queue,
                                       .durable = options_.declare->durable,
                                       .arguments = amqp::TableView(arguments)});
  }
  connection.Send(amqp::ConfirmSelect{});
}

void SenderCore::OnMethod(amqp::MethodId id, ByteView payload, Time) {
  switch (id) {
    case amqp::ConfirmSelectOk::kId:
      channel_ready_ = true;
      if (!options_.declare) link_.NoteProgress();
      return;
    case amqp::QueueDeclareOk::kId:
      return link_.NoteProgress();
    case amqp::BasicAck::kId:
      if (const auto ack = amqp::Decode<amqp::BasicAck>(payload)) {
        // A plain broker does not say whether it landed, so neither do we.
        OnConfirm(ack->delivery_tag, ack->multiple, amqp::ConfirmOutcome::kAccepted);
      }
      return;
    case amqp::LandfallConfirm::kId:
      if (const auto confirm = amqp::Decode<amqp::LandfallConfirm>(payload)) {
        OnConfirm(confirm->delivery_tag, confirm->multiple, confirm->outcome);
      }
      return;
    case amqp::BasicNack::kId:
      if (const auto nack = amqp::Decode<amqp::BasicNack>(payload)) {
        OnNack(nack->delivery_tag, nack->multiple);
      }
      return;
    default:
      return;
  }
}

void SenderCore::OnContent(amqp::MethodId id, ByteView method, ByteView properties, ByteBuffer,
                           Time) {
  if (id == amqp::BasicReturn::kId) OnReturn(method, properties);
}

template <class Each>
void SenderCore::ForTags(uint64_t tag, bool multiple, Each each) {
  const uint64_t end = first_tag_ + tags_.size();
  // 0 with multiple means all.
  const uint64_t last = tag == 0 && multiple ? end - 1 : tag;
  if (last >= end || last < first_tag_) return;
  for (uint64_t t = multiple ? first_tag_ : last; t <= last; ++t) {
    TagRef& ref = tags_[t - first_tag_];
    if (ref.entry == kNone) continue;
    const TagRef taken = std::exchange(ref, TagRef{});
    --open_tags_;
    if (entries_[taken.entry].generation == taken.generation) each(taken.entry);
  }
  while (!tags_.empty() && tags_.front().entry == kNone) {
    tags_.pop_front();
    ++first_tag_;
  }
}

void SenderCore::OnConfirm(uint64_t tag, bool multiple, amqp::ConfirmOutcome outcome) {
  ForTags(tag, multiple, [&](uint32_t index) { OnConfirmed(index, outcome); });
  link_.NoteProgress();
  if (outcome == amqp::ConfirmOutcome::kFenced) Fence();
}

void SenderCore::OnConfirmed(uint32_t index, amqp::ConfirmOutcome outcome) {
  Entry& entry = entries_[index];
  if (outcome == amqp::ConfirmOutcome::kFenced) {
    return Settle(index, SendStatus::kFailed, SendFailure::kFenced,
                  "a newer process uses the producer name '" + options_.producer +
                      "': the broker drops what this one sends");
  }
  if (entry.returned) {
    return Settle(index, SendStatus::kReturned, SendFailure::kNone, std::move(entry.trouble));
  }
  switch (outcome) {
    case amqp::ConfirmOutcome::kLanded:
      return Settle(index, SendStatus::kLanded, SendFailure::kNone, {});
    case amqp::ConfirmOutcome::kDuplicate:
      return Settle(index, SendStatus::kDuplicate, SendFailure::kNone, {});
    default:
      return Settle(index, SendStatus::kAccepted, SendFailure::kNone, {});
  }
}

void SenderCore::OnNack(uint64_t tag, bool multiple) {
  // Its timer goes on and sends it again: a broker that could not take it now needs a rest.
  ForTags(tag, multiple, [&](uint32_t index) {
    entries_[index].trouble = "the broker could not take it (basic.nack)";
  });
}

void SenderCore::OnReturn(ByteView method, ByteView properties) {
  const auto returned = amqp::Decode<amqp::BasicReturn>(method);
  const auto decoded = amqp::DecodeProperties(properties);
  if (!returned || !decoded) return;
  const auto sequence = decoded->headers.FindInteger(kSequenceHeader);
  if (!sequence) return;
  // Returns come in the order of publishing, so this is near the front.
  for (uint32_t index = head_; index != kNone; index = entries_[index].next) {
    Entry& entry = entries_[index];
    if (entry.sequence != static_cast<uint64_t>(*sequence)) continue;
    entry.returned = true;
    entry.trouble = "exchange '" + std::string(returned->exchange) + "', routing key '" +
                    std::string(returned->routing_key) +
                    "': " + std::to_string(returned->reply_code) + " " +
                    std::string(returned->reply_text);
    return;
  }
}

void SenderCore::OnBlocked(bool blocked, ByteView reason, Time) {
  blocked_ = blocked;
  if (blocked) {
    problems_.push_back(
        {ErrorCode::kUnavailable, "the broker takes no messages for now: " + std::string(reason)});
  }
}

void SenderCore::OnChannelClosed(const Error& why, Time) {
  // Not about a message: the declaration, or confirms. OnLinkLost reports it.
  if (!channel_ready_) return link_.Drop(why);
  // What the broker has against one message only that message's result will say.
  if (why.code != ErrorCode::kInvalidArgument || open_tags_ == 0) problems_.push_back(why);
  // Which message it was the broker does not say. If only one was out, it is clear.
  uint32_t culprit = kNone;
  if (open_tags_ == 1) {
    for (const TagRef& ref : tags_) {
      if (ref.entry != kNone && entries_[ref.entry].generation == ref.generation) {
        culprit = ref.entry;
      }
    }
  }
  const uint64_t published_below = cursor_ == kNone ? next_ordinal_ : entries_[cursor_].ordinal;
  careful_below_ = std::max(careful_below_, published_below);
  if (culprit != kNone) Settle(culprit, SendStatus::kFailed, SendFailure::kRefused, why.message);
  ForgetChannel();
  link_.connection()->OpenChannel();
}

void SenderCore::OnLinkLost(const Error& why, Time) {
  problems_.push_back(why);
  ForgetChannel();
  if (!fenced_.empty()) FailAll(SendFailure::kFenced, fenced_);
}

void SenderCore::Fence() {
  if (!fenced_.empty()) return;
  fenced_ = "a newer process uses the producer name '" + options_.producer +
            "': this Sender sends nothing any more";
  // What is on its way gets its own answer; the rest will not be sent.
  for (uint32_t index = head_; index != kNone;) {
    const uint32_t next = entries_[index].next;
    if (!PublishedHere(entries_[index])) {
      Settle(index, SendStatus::kFailed, SendFailure::kFenced, fenced_);
    }
    index = next;
  }
}

// --- Time --------------------------------------------------------------------------------------

void SenderCore::OnTick(Time now) {
  link_.OnTick(now);
  if (now < scan_at_) return;
  Time next_due = kNever;
  for (uint32_t index = head_; index != kNone;) {
    const uint32_t next = entries_[index].next;
    if (entries_[index].due <= now) OnTimer(index, now);
    // If it was settled its place still holds a time, at worst an early look.
    next_due = std::min(next_due, entries_[index].due);
    index = next;
  }
  scan_at_ = head_ == kNone
                 ? kNever
                 : std::max(next_due, now + Duration(options_.resend.first) / kScansPerResend);
}

void SenderCore::OnTimer(uint32_t index, Time now) {
  Entry& entry = entries_[index];
  if (!fenced_.empty()) {
    return Settle(index, SendStatus::kFailed, SendFailure::kFenced, fenced_);
  }
  if (++entry.periods >= options_.max_sends) {
    std::string why = "not confirmed " + AfterAttempts(entry.attempts);
    const std::string& trouble = entry.trouble.empty() ? link_.last_problem() : entry.trouble;
    if (!trouble.empty()) why += "; last problem: " + trouble;
    return Settle(index, SendStatus::kFailed, SendFailure::kTimeout, std::move(why));
  }
  entry.due = now + DelayOf(options_.resend, entry.periods + 1, rng_);
  // What the cursor has not reached is not late, it has not been sent.
  if (!channel_ready_ || !PublishedHere(entry)) return;
  if (entry.published_here > 1 && link_.connection()->last_received() <= entry.first_published) {
    // Sent twice, and not a sound since: the connection leads nowhere.
    return link_.Drop({ErrorCode::kTimeout, "the broker has been silent since a message was sent"});
  }
  if (entry.ordinal < careful_below_ && open_tags_ > 0) return;
  if (MayPublish()) Publish(index, now);
}

Time SenderCore::NextDeadline() const {
  return head_ == kNone ? link_.NextDeadline() : std::min(link_.NextDeadline(), scan_at_);
}

// --- Results -----------------------------------------------------------------------------------

void SenderCore::Settle(uint32_t index, SendStatus status, SendFailure failure, std::string why) {
  Entry& entry = entries_[index];
  settled_.push_back({std::move(entry.callback),
                      {status, failure, std::move(why), entry.sequence, entry.attempts},
                      entry.cost});
  if (own_sequences_.value_or(false)) own_in_flight_.erase(entry.sequence);
  if (cursor_ == index) cursor_ = entry.next;
  (entry.previous == kNone ? head_ : entries_[entry.previous].next) = entry.next;
  (entry.next == kNone ? tail_ : entries_[entry.next].previous) = entry.previous;
  entry.callback = nullptr;
  entry.options.reset();
  entry.body = {};
  entry.trouble.clear();
  ++entry.generation;
  free_.push_back(index);
  --unsettled_;
}

void SenderCore::TakeSettled(std::vector<SettledSend>& out) {
  if (out.empty()) {
    std::swap(out, settled_);
    return;
  }
  std::move(settled_.begin(), settled_.end(), std::back_inserter(out));
  settled_.clear();
}

uint64_t SenderCore::settled_below() const {
  return head_ == kNone ? next_ordinal_ : entries_[head_].ordinal;
}

void SenderCore::FailAll(SendFailure failure, const std::string& why) {
  while (head_ != kNone) Settle(head_, SendStatus::kFailed, failure, why);
}

}  // namespace landfall::client
