namespace DualSparse.Models;

/// <summary>What families name differently below <c>model.layers.{l}.</c>; the defaults are what most of them use.</summary>
internal sealed record TensorNames
{
    /// <summary>The block that holds router and experts.</summary>
    public string Moe { get; init; } = "mlp";

    /// <summary>An expert's gate projection (W1).</summary>
    public string ExpertGate { get; init; } = "gate_proj";

    /// <summary>An expert's up projection (W3).</summary>
    public string ExpertUp { get; init; } = "up_proj";

    /// <summary>An expert's down projection (W2).</summary>
    public string ExpertDown { get; init; } = "down_proj";

    /// <summary>The shared expert.</summary>
    public string SharedExpert { get; init; } = "shared_expert";

    /// <summary>How routed experts are stored, which the checkpoint decides and not the family.</summary>
    public ExpertStorage Experts { get; init; }
}
