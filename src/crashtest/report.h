#pragma once

#include <string>
#include <vector>

#include "crashtest/crash_run.h"

// What `landfall crashtest` prints.
namespace landfall::crashtest {

// The head of the table, the row of a cut (with its notes in lines below), and the row of all.
std::string TableHead();
std::string TableRow(size_t number, const Cut& cut);
std::string TableTotal(const std::vector<Cut>& cuts);

// All of it as one object of JSON. Fields are only ever added.
std::string ReportJson(const CrashOptions& options, const std::string& product,
                       const std::vector<Cut>& cuts);

// Of all cuts.
Verdict Total(const std::vector<Cut>& cuts);

}  // namespace landfall::crashtest
