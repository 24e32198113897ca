namespace DualSparse.Training.Ops;

/// <summary>Over what a family takes the means of its balance loss.</summary>
internal enum BalanceRule
{
    /// <summary>The tokens of all MoE layers together, as transformers does; f_e are pairs a token, so that Σ f = k.</summary>
    AllLayers,

    /// <summary>Each MoE layer's tokens by themselves, then the layers (<c>scmoe</c>); f_e are shares of the pairs, so that Σ f = 1.</summary>
    EachLayer,
}
