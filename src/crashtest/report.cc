#include "crashtest/report.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace landfall::crashtest {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kHead =
    "{:>5} {:>6} {:>10} {:>10} {:>10} {:>10} {:>9} {:>8} {:>10} {:>6} {:>8} {:>8} {:>8} {:>8}";

std::string Row(const std::string& number, const Verdict& v, const std::string& load,
                const std::string& restart) {
  return fmt::format(fmt::runtime(kHead), number, load, v.published, v.confirmed, v.acked,
                     v.recovered, v.returned,
                     v.returned == 0 ? "" : fmt::format("{:.0f} ms", v.oldest_returned * 1000),
                     v.duplicates, v.lost, v.vanished, v.invented, v.disordered, restart);
}

Json VerdictJson(const Verdict& v) {
  return {{"published", v.published},   {"confirmed", v.confirmed},
          {"acked", v.acked},           {"recovered", v.recovered},
          {"returned", v.returned},     {"oldest_returned_seconds", v.oldest_returned},
          {"duplicates", v.duplicates}, {"lost", v.lost},
          {"vanished", v.vanished},     {"invented", v.invented},
          {"disordered", v.disordered}};
}

Json CutJson(const Cut& cut) {
  Json json = VerdictJson(cut.verdict);
  json["load_seconds"] = cut.loaded;
  json["recovery_cuts"] = cut.recovery_cuts;
  json["undeleted_queues"] = cut.undeleted;
  json["restart_seconds"] = cut.restart;
  json["notes"] = cut.notes;
  return json;
}

std::string Kernel() {
  utsname name{};
  uname(&name);
  return fmt::format("{} {}", name.sysname, name.release);
}

double LongestRestart(const std::vector<Cut>& cuts) {
  double longest = 0;
  for (const Cut& cut : cuts) longest = std::max(longest, cut.restart);
  return longest;
}

}  // namespace

Verdict Total(const std::vector<Cut>& cuts) {
  Verdict total;
  for (const Cut& cut : cuts) total += cut.verdict;
  return total;
}

std::string TableHead() {
  return fmt::format(fmt::runtime(kHead), "cut", "load s", "published", "confirmed", "acked",
                     "recovered", "returned", "oldest", "duplicates", "lost", "vanished",
                     "invented", "disorder", "restart");
}

std::string TableRow(size_t number, const Cut& cut) {
  // A star for each further cut while the broker was recovering.
  std::string row = Row(std::to_string(number) + std::string(cut.recovery_cuts, '*'), cut.verdict,
                        fmt::format("{:.2f}", cut.loaded), fmt::format("{:.2f} s", cut.restart));
  for (const std::string& note : cut.notes) row += "\n      " + note;
  return row;
}

std::string TableTotal(const std::vector<Cut>& cuts) {
  return Row("all", Total(cuts), "", fmt::format("{:.2f} s", LongestRestart(cuts)));
}

std::string ReportJson(const CrashOptions& options, const std::string& product,
                       const std::vector<Cut>& cuts) {
  Json json{{"broker", product},
            {"command", options.command},
            {"kernel", Kernel()},
            {"filesystem", options.disk.filesystem},
            {"seed", options.seed},
            {"queues", options.queues},
            {"queue_type", options.queue_type},
            {"rate", options.rate},
            {"window", options.window}};
  json["total"] = VerdictJson(Total(cuts));
  uint64_t recovery_cuts = 0;
  uint64_t undeleted = 0;
  for (const Cut& cut : cuts) {
    recovery_cuts += cut.recovery_cuts;
    undeleted += cut.undeleted;
  }
  json["total"]["cuts"] = cuts.size();
  json["total"]["recovery_cuts"] = recovery_cuts;
  json["total"]["undeleted_queues"] = undeleted;
  json["total"]["longest_restart_seconds"] = LongestRestart(cuts);
  json["cuts"] = Json::array();
  for (const Cut& cut : cuts) json["cuts"].push_back(CutJson(cut));
  // What a broker said may be no UTF-8.
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace landfall::crashtest
