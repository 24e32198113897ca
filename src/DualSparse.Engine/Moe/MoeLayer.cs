using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;

namespace DualSparse.Engine.Moe;

/// <summary>THE mixture-of-experts layer: route, decide, gather, multiply, add; shared experts beside it.</summary>
/// <param name="router">Chooses experts; null for a dense MLP, whose one expert every token takes.</param>
/// <param name="experts">The routed experts, or the dense MLP.</param>
/// <param name="shared">The shared experts, as one wide one, or null.</param>
/// <param name="sharedGate">[1, D]: the shared output is multiplied with σ(g·x); null adds it as it is.</param>
public sealed unsafe class MoeLayer(Router? router, PackedExperts experts, PackedExperts? shared = null, Linear? sharedGate = null) : IDisposable
{
    private readonly ExpertBatch batch = new();

    /// <summary>The last batch's routing; empty for a dense MLP.</summary>
    public RoutingPlan Plan { get; } = new();

    /// <summary>What is left out of a prompt's tokens; null: nothing.</summary>
    public LayerRule? Prompt { get; set; }

    /// <summary>What is left out of generated tokens; null: nothing.</summary>
    public LayerRule? Generation { get; set; }

    /// <summary>What dropped experts leave behind where a rule says so; null: nothing.</summary>
    public Compensation? Compensation { get; set; }

    /// <summary>The routed experts' work since the layer was made or this was last set.</summary>
    public DropCounts Counts { get; set; }

    /// <summary>The routed experts.</summary>
    public PackedExperts Experts => experts;

    /// <summary>Sees the neurons of every row that a routed expert computes, in whole or in half; null while nobody looks.</summary>
    public NeuronObserver? Observer { get; set; }

    /// <summary>Adds the layer's output to y.</summary>
    /// <param name="work">Threads, kernels, scratch.</param>
    /// <param name="x">[tokens, D] f32, normalised.</param>
    /// <param name="tokens">Tokens.</param>
    /// <param name="y">[tokens, D] f32, added to.</param>
    /// <param name="segments">The sequences that the tokens belong to.</param>
    internal void Forward(Workspace work, float* x, int tokens, float* y, ReadOnlySpan<Segment> segments)
    {
        if (router is null)
        {
            batch.SetEveryToken(tokens);
        }
        else
        {
            router.Route(work, x, tokens, Plan);
            Decide(segments);
            RowLists.Build(Plan, experts.Count, batch);
            Counts += DropCounts.Of(batch, Plan.Experts.Length, experts.Neurons);
            if (Observer is not null)
                NeuronProbe.Run(work, experts, batch, x, Observer);
        }

        GroupedGemm.Forward(work, experts, batch, x, tokens, y);
        foreach (var segment in segments)
        {
            if ((segment.Generated ? Generation : Prompt) is { Compensates: true })
                Compensation?.Add(work.Team, Plan, segment.First, segment.Count, y);
        }

        if (shared is null)
            return;
        float* gates = null;
        if (sharedGate is not null)
        {
            gates = work.Floats("shared gate", tokens);
            sharedGate.Forward(work, x, tokens, gates);
            for (int t = 0; t < tokens; t++)
                gates[t] = 1 / (1 + MathF.Exp(-gates[t]));
        }

        batch.SetEveryToken(tokens, gates is null ? default : new ReadOnlySpan<float>(gates, tokens));
        GroupedGemm.Forward(work, shared, batch, x, tokens, y);
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose()
    {
        router?.Dispose();
        experts.Dispose();
        shared?.Dispose();
        sharedGate?.Dispose();
    }

    // Texts that follow a rate show all their scores first: several sequences may be one text.
    private void Decide(ReadOnlySpan<Segment> segments)
    {
        var followed = Prompt is { Follows: true } ? Prompt : Generation is { Follows: true } ? Generation : null;
        foreach (var segment in segments)
            followed?.Show(segment.Cache.Follower!, Plan, segment.First, segment.Count);
        foreach (var segment in segments)
        {
            var rule = segment.Generated ? Generation : Prompt;
            if (rule is { Follows: true })
                rule.Follow(segment.Cache.Follower!, segment.Count, Plan.TopK);
            DropPolicy.Apply(Plan, rule, segment.First, segment.Count);
        }
    }
}
