#pragma once

#include <atomic>
#include <boost/container/small_vector.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/cow_map.h"
#include "broker/destinations.h"
#include "broker/seen_set.h"

namespace landfall::broker {

// The patterns of a topic exchange: words separated by dots, `*` for exactly one word, `#` for any
// number of them, none included. One node per word of a pattern, shared beginnings share nodes.
//
// A value like CowMap: a copy takes constant time, a change copies the nodes on its way that
// another copy shares. Thread: as CowMap.
class TopicTrie {
 public:
  void Add(ByteView pattern, const Binding& binding);
  // The binding was added with this pattern.
  void Remove(ByteView pattern, const Binding& binding);

  bool empty() const { return root_ == nullptr; }

  // visit(const Destinations&) once for each pattern that matches. Takes time in proportion to the
  // words of the key times the nodes that its beginnings lead to, whatever the patterns: a node
  // that several ways lead to (through `#`) is followed once.
  template <class Visit>
  void Match(ByteView routing_key, Visit&& visit) const {
    if (!root_) return;
    Walk walk;
    walk.Enter(root_.get());
    for (const ByteView word : Split(routing_key)) walk.Step(word);
    for (const Node* node : walk.current) visit(node->here);
    for (size_t i = 0; i < walk.loops.size(); ++i) visit(walk.loops[i]->here);
  }

 private:
  struct Node;
  using NodeRef = boost::intrusive_ptr<Node>;
  using Words = boost::container::small_vector<ByteView, 16>;

  struct Node {
    Node() = default;
    Node(const Node& other)
        : here(other.here), words(other.words), star(other.star), hash(other.hash) {}
    Node& operator=(const Node&) = delete;
    bool empty() const { return here.empty() && words.empty() && !star && !hash; }

    friend void intrusive_ptr_add_ref(const Node* node) {
      node->references.fetch_add(1, std::memory_order_relaxed);
    }
    friend void intrusive_ptr_release(const Node* node) {
      if (node->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete node;
    }

    mutable std::atomic<uint32_t> references{0};
    Destinations here;  // of the patterns that end here
    CowMap<std::string, NodeRef> words;
    NodeRef star;
    NodeRef hash;
  };

  // All places in the trie where the words so far can lead, as for a nondeterministic automaton.
  struct Walk {
    boost::container::small_vector<const Node*, 8> current;
    // `#` nodes: once reached they stay, since they take any further word.
    SeenSet<const Node*> loops;

    void Enter(const Node* node);
    void Step(ByteView word);
  };

  // The empty key has no words, as in RabbitMQ; "." has two empty ones.
  static Words Split(ByteView key);
  static Node* Own(NodeRef& ref);
  static NodeRef& ChildOf(Node& node, ByteView word);
  static void RemoveFrom(NodeRef& ref, const Words& words, size_t depth, const Binding& binding);

  NodeRef root_;
};

}  // namespace landfall::broker
