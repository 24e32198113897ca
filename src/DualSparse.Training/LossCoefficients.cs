namespace DualSparse.Training;

/// <summary>What is added to the cross-entropy.</summary>
/// <param name="Balance">The factor of the balance loss; transformers' <c>router_aux_loss_coef</c>.</param>
/// <param name="RouterZ">The factor of the mean of (log Σ e^logit)² over tokens and MoE layers (ST-MoE, arXiv 2202.08906, eq. 5).</param>
internal readonly record struct LossCoefficients(float Balance, float RouterZ);

/// <summary>The parts of a loss, each before its factor.</summary>
/// <param name="CrossEntropy">Mean over the places that have a target, in nats.</param>
/// <param name="Balance">The family's own balance loss; 0 without experts.</param>
/// <param name="RouterZ">Mean of (log Σ e^logit)² over tokens and MoE layers.</param>
/// <param name="Targets">Places that have a target.</param>
internal readonly record struct Losses(double CrossEntropy, double Balance, double RouterZ, int Targets)
{
    /// <summary>What is minimised.</summary>
    public double Total(LossCoefficients c) => CrossEntropy + c.Balance * Balance + c.RouterZ * RouterZ;
}
