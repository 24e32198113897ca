using DualSparse.Engine.Moe;

namespace DualSparse.Engine;

/// <summary>Observers of a pass, called on its thread. An exception ends the pass, which then changes nothing.</summary>
internal sealed record PassWatch
{
    /// <summary>Called with each layer's routing, decided; valid during the call.</summary>
    public Action<int, RoutingPlan>? Routed { get; init; }

    /// <summary>
    /// Called at each layer with routed experts; returns an observer of the neurons of every row that they compute, full or major only, or
    /// null.
    /// </summary>
    public Func<int, RoutingPlan, NeuronObserver?>? Neurons { get; init; }
}
