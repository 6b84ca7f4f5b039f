/** Model architectures as data: which weights a layer has and which ops it is made of; one forward pass runs them all. */
package dev.lanes.model;
