// Shapes as data: tests/cases/<op>.tsv. Lines that begin with # are comments; the first other line names the columns.
#ifndef LANES_TESTS_SUPPORT_CASES_H_
#define LANES_TESTS_SUPPORT_CASES_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace lanes_test {

class Case {
 public:
  Case(int line, std::map<std::string, std::string> values) : line_(line), values_(std::move(values)) {}
  // Throws when there is no such column, or when it does not hold a number.
  int64_t Integer(const std::string& column) const;
  const std::string& Text(const std::string& column) const;
  bool Has(const std::string& column) const { return values_.count(column) != 0; }
  // "linear.tsv:12 m=3 n=64 …"
  std::string Describe() const;

 private:
  int line_;
  std::map<std::string, std::string> values_;
};

// Those that are not too large for the device under test.
std::vector<Case> ReadCases(const std::string& file);

}  // namespace lanes_test

#endif  // LANES_TESTS_SUPPORT_CASES_H_
