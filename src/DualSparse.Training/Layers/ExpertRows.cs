using DualSparse.Engine.Moe;
using DualSparse.Kernels.Memory;
using DualSparse.Training.Ops;
using DualSparse.Training.Ranks;

namespace DualSparse.Training.Layers;

/// <summary>
/// Rows on their way through a layer's routed experts, here or on several ranks, and what of it the backward pass needs. Either way of a pass has three steps, so that others may stand between them: rows begin their
/// way, experts compute, sums come back. In one process only the last of them does something.
/// </summary>
internal sealed unsafe class ExpertRows : IDisposable
{
    private readonly Experts experts;
    private readonly int all;
    private readonly RowTicket? ticket;
    private readonly ExpertLists lists = new();
    private readonly ScratchBuffer weights = new(), kept = new();
    private RoutingPlan plan = new();
    private float* input, gradient;

    /// <summary>Takes a layer's experts, which stay the caller's.</summary>
    /// <param name="experts">Those that this process has.</param>
    /// <param name="all">Experts of the layer.</param>
    /// <param name="hidden">Values of a row.</param>
    /// <param name="lane">Which rows.</param>
    /// <param name="parts">Where the others are.</param>
    public ExpertRows(Experts experts, int all, int hidden, ExpertLane lane, TrainingParts parts)
    {
        (this.experts, this.all) = (experts, all);
        ticket = parts.Group is { } group ? new RowTicket(group, parts.Place(all), lane, hidden) : null;
    }

    /// <summary>Whether rows go to other ranks.</summary>
    public bool Travels => ticket is not null;

    /// <summary>Rows begin their way.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="routing">The pairs; stays as it is until the backward pass.</param>
    /// <param name="x">[tokens, hidden] f32, kept by the caller until then.</param>
    public void Begin(TrainingPass pass, RoutingPlan routing, float* x)
    {
        plan = routing;
        input = x;
        ticket?.Dispatch(pass.Work.Team, plan, x);
    }

    /// <summary>This rank's experts compute what has come.</summary>
    public void Compute(TrainingPass pass)
    {
        if (ticket is null)
            return;
        ticket.Receive(lists, experts.First, experts.Count);
        experts.Forward(pass.Work, lists, ticket.Weights, ticket.Inputs, kept.Floats((nint)lists.Rows * experts.KeptWidth), ticket.Sums);
        ticket.Answer();
    }

    /// <summary>y += the experts' sum.</summary>
    public void End(TrainingPass pass, float* y)
    {
        if (ticket is not null)
        {
            ticket.Return(pass.Work.Team, y);
            pass.Clock?.Travelled(ticket.Travel);
            return;
        }

        lists.Build(plan.Experts, plan.TopK, all);
        int pairs = plan.Weights.Length;
        plan.Weights.CopyTo(new Span<float>(weights.Floats(pairs), pairs));
        experts.Forward(pass.Work, lists, weights.Current, input, kept.Floats((nint)lists.Rows * experts.KeptWidth), y);
    }

    /// <summary>The gradient of the sum begins its way.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="dy">[tokens, hidden] f32, as it is until <see cref="EndBackward"/>.</param>
    public void BeginBackward(TrainingPass pass, float* dy)
    {
        gradient = dy;
        ticket?.DispatchGradients(pass.Work.Team, dy);
    }

    /// <summary>This rank's experts compute their gradients.</summary>
    public void ComputeBackward(TrainingPass pass)
    {
        if (ticket is null)
            return;
        ticket.ReceiveGradients();
        experts.Backward(pass.Work, lists, ticket.Weights, ticket.Inputs, kept.Current, ticket.Gradients, ticket.InputGradients, ticket.WeightGradients);
        ticket.AnswerGradients();
    }

    /// <summary>dx += the gradient of what the experts read.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="dx">[tokens, hidden] f32.</param>
    /// <param name="dWeights">[tokens, k] f32, overwritten with the gradient of the pairs' weights.</param>
    public void EndBackward(TrainingPass pass, float* dx, float* dWeights)
    {
        if (ticket is not null)
        {
            ticket.ReturnGradients(pass.Work.Team, dx, dWeights);
            pass.Clock?.Travelled(ticket.Travel);
            return;
        }

        experts.Backward(pass.Work, lists, weights.Current, input, kept.Current, gradient, dx, dWeights);
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        foreach (var one in new IDisposable?[] { ticket, weights, kept })
            one?.Dispose();
    }
}
