// The codec's share of a message: what the broker does with each publish and each delivery.
#include <benchmark/benchmark.h>

#include <string>

#include "amqp/frame.h"
#include "amqp/method.h"
#include "amqp/properties.h"
#include "apps/perf_message.h"

namespace landfall {
namespace {

constexpr uint32_t kFrameMax = 131072;
constexpr int kBatch = 64;  // messages in one buffer, as they come from a socket

ByteBuffer PersistentProperties() {
  ByteBuffer properties;
  amqp::AppendProperties(properties, amqp::PropertiesView{.flags = amqp::kHasDeliveryMode,
                                                          .delivery_mode = amqp::kPersistent});
  return properties;
}

void SetRates(benchmark::State& state) {
  state.SetItemsProcessed(state.iterations() * kBatch);
  state.SetBytesProcessed(state.iterations() * kBatch * state.range(0));
}

// Three frames apart, the method and the header read, the body found.
void DecodePublish(benchmark::State& state) {
  ByteBuffer input;
  const ByteBuffer body(static_cast<size_t>(state.range(0)), 'x');
  const ByteBuffer properties = PersistentProperties();
  for (int i = 0; i < kBatch; ++i) {
    amqp::AppendPublish(input, 1, "", "orders", false, properties, body, kFrameMax);
  }
  for (auto _ : state) {
    ByteView rest = input;
    while (!rest.empty()) {
      const amqp::FrameResult frame = amqp::ParseFrame(rest, kFrameMax);
      const ByteView payload = frame.frame.payload;
      switch (frame.frame.type) {
        case amqp::FrameType::kMethod:
          benchmark::DoNotOptimize(amqp::Decode<amqp::BasicPublish>(payload)->routing_key.size());
          break;
        case amqp::FrameType::kHeader: {
          const auto header = amqp::DecodeContentHeader(payload);
          benchmark::DoNotOptimize(amqp::DecodeProperties(header->properties)->IsPersistent());
          break;
        }
        default:
          benchmark::DoNotOptimize(payload.data());
      }
      rest.remove_prefix(frame.consumed);
    }
  }
  SetRates(state);
}
BENCHMARK(DecodePublish)->Arg(16)->Arg(1024)->Arg(65536);

void EncodeDelivery(benchmark::State& state) {
  const ByteBuffer body(static_cast<size_t>(state.range(0)), 'x');
  const ByteBuffer properties = PersistentProperties();
  ByteBuffer out;
  uint64_t tag = 0;
  for (auto _ : state) {
    out.clear();
    for (int i = 0; i < kBatch; ++i) {
      amqp::AppendDelivery(
          out, 1, {.consumer_tag = "consumer-1", .delivery_tag = ++tag, .routing_key = "orders"},
          properties, body, kFrameMax);
    }
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  SetRates(state);
}
BENCHMARK(EncodeDelivery)->Arg(16)->Arg(1024)->Arg(65536);

void EncodePublish(benchmark::State& state) {
  const ByteBuffer body(static_cast<size_t>(state.range(0)), 'x');
  const ByteBuffer properties = PersistentProperties();
  ByteBuffer out;
  for (auto _ : state) {
    out.clear();
    for (int i = 0; i < kBatch; ++i) {
      amqp::AppendPublish(out, 1, "", "orders", false, properties, body, kFrameMax);
    }
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  SetRates(state);
}
BENCHMARK(EncodePublish)->Arg(16)->Arg(1024)->Arg(65536);

// The same by `landfall perf`.
void CopyPublishTemplate(benchmark::State& state) {
  const apps::PerfPublishTemplate message(1, "", "orders", false, true,
                                          static_cast<size_t>(state.range(0)), kFrameMax);
  ByteBuffer out(message.size() * kBatch, '\0');
  uint64_t id = 0;
  for (auto _ : state) {
    char* p = out.data();
    for (int i = 0; i < kBatch; ++i) p = message.Write(p, 1, ++id);
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  SetRates(state);
}
BENCHMARK(CopyPublishTemplate)->Arg(16)->Arg(1024)->Arg(65536);

void EncodeAck(benchmark::State& state) {
  ByteBuffer out;
  uint64_t tag = 0;
  for (auto _ : state) {
    out.clear();
    for (int i = 0; i < kBatch; ++i) {
      amqp::AppendMethodFrame(out, 1, amqp::BasicAck{.delivery_tag = ++tag});
    }
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kBatch);
}
BENCHMARK(EncodeAck);

}  // namespace
}  // namespace landfall

BENCHMARK_MAIN();
