using DualSparse.Kernels;

namespace DualSparse.Benchmarking.ShortcutExperts;

/// <summary>What is measured: a pair of layers of one shape, wired in several ways.</summary>
/// <param name="Hidden">D; MLP, shared and routed experts have 2·D neurons.</param>
/// <param name="Tokens">Rows of each rank, one text.</param>
/// <param name="Experts">Routed experts.</param>
/// <param name="Weights">The format of the weights.</param>
/// <param name="Threads">Threads of a rank.</param>
/// <param name="Rounds">Rounds, of which medians are taken; all take turns.</param>
internal sealed record ScMoeSetting(int Hidden, int Tokens, int Experts, WeightFormat Weights, int Threads, int Rounds);
